"""Rollouts that two reconciles and a worker move on in the same moment, on connections of their own."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from devices import keys
from scheduling import executions, reconcile, rollout, schedules
from scheduling.models import Execution
from scheduling.tests import factories
from scheduling.tests.test_at_once import side_by_side

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admin(sent: Any) -> User:
    keys.ensure_key()
    return factories.person("admin", is_administrator=True)


def begun(admin: User, number: int, *, payload: Any = None, **options: Any) -> Execution:
    devices = [factories.device() for _number in range(number)]
    changes = {"task_payload": payload} if payload else {}
    task = factories.by_hand(admin, devices=devices, rollout=options, **changes)
    return schedules.execute(task, admin)


def together(execution: Execution) -> None:
    side_by_side(
        reconcile.round_of_all, reconcile.round_of_all, lambda: rollout.advance(execution.pk)
    )
    # What one leaves to another that holds the row is there at the next round.
    reconcile.round_of_all()


def test_exactly_so_many_are_released_as_may_be(admin: User) -> None:
    execution = begun(admin, 8, max_concurrent=3)
    for done in (0, 1, 2):
        for run in execution.runs.filter(status="queued")[:done]:
            factories.carry_out(run)
        together(execution)
        assert execution.runs.filter(status="queued", has_slot=True).count() == 3


def test_each_wave_opens_once_and_after_the_one_before(admin: User) -> None:
    execution = begun(admin, 4, strategy="rolling", batch_size=1)
    for wave in (1, 2, 3, 4):
        together(execution)
        execution.refresh_from_db()
        assert execution.open_wave == wave
        assert list(execution.runs.filter(status="queued").values_list("wave", flat=True)) == [wave]
        factories.carry_out(execution.runs.get(status="queued"))
    together(execution)
    execution.refresh_from_db()
    assert execution.status == "success"


def test_each_device_is_rolled_back_once(admin: User) -> None:
    payload = {"command": "up", "rollback_command": "down"}
    execution = begun(admin, 4, strategy="transactional", payload=payload)
    rollout.advance(execution.pk)
    for place, run in enumerate(execution.runs.all()):
        factories.carry_out(run, "failed" if place == 0 else "succeeded")
    together(execution)
    rollbacks = execution.runs.filter(rolls_back__isnull=False)
    assert rollbacks.count() == 4
    for run in rollbacks:
        factories.carry_out(run)
    together(execution)
    execution.refresh_from_db()
    assert (execution.status, execution.runs.count()) == ("partial", 8)


@pytest.mark.parametrize("number", range(3))
def test_a_promotion_and_a_wave_that_closes_open_one_wave_each(admin: User, number: int) -> None:
    execution = begun(admin, 4, strategy="rolling", batch_size=1)
    rollout.advance(execution.pk)
    factories.carry_out(execution.runs.get(status="queued"))
    side_by_side(
        lambda: executions.promote(execution, admin), lambda: rollout.advance(execution.pk)
    )
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    # The promotion came first and the closed wave let it be, or it came second and opened another.
    released = sorted(execution.runs.filter(status="queued").values_list("wave", flat=True))
    assert (execution.open_wave, released) in [(2, [2]), (3, [2, 3])]


def test_an_abort_and_a_release_leave_nothing_released(admin: User) -> None:
    execution = begun(admin, 6, max_concurrent=2)
    side_by_side(lambda: executions.abort(execution, admin), lambda: rollout.advance(execution.pk))
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    assert (execution.status, execution.runs.exclude(status="skipped").count()) == ("skipped", 0)
