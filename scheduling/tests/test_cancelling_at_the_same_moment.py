"""A cancel and a start that meet: what has its GO is asked to end, and is not called cancelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from devices.ledger_port import RunGo, RunStop
from devices.models import Device
from scheduling import cancelling, ledger
from scheduling.models import DeviceRun
from scheduling.tests import factories
from scheduling.tests.test_revoking_at_the_same_moment import meanwhile

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(admin: User, web_device: Device, sent: object) -> DeviceRun:
    execution = factories.execution(factories.task(admin, devices=[web_device]))
    return factories.run(execution, web_device, status="claimed")


def while_it_starts(run: DeviceRun, device: Device, work: Callable[[], Any]) -> Any:
    """What the work answers that begins before the GO is committed, and waits for its row."""
    with transaction.atomic():
        (answer,) = ledger.start([(factories.session_of(device), run.pk)])
        thread, answers = meanwhile(work)
    thread.join()
    assert isinstance(answer, RunGo)
    run.refresh_from_db()
    return answers[0]


def is_asked_to_end(run: DeviceRun) -> bool:
    return (run.status, run.finished_at) == ("running", None) and bool(run.cancel_requested_at)


def test_a_run_that_is_given_its_go_is_asked_to_end(
    admin: User, web_device: Device, run: DeviceRun
) -> None:
    while_it_starts(run, web_device, lambda: cancelling.cancel_run(run, admin))
    assert is_asked_to_end(run)


def test_so_it_is_by_its_executions_cancel(admin: User, web_device: Device, run: DeviceRun) -> None:
    while_it_starts(run, web_device, lambda: cancelling.cancel(run.execution, admin))
    assert is_asked_to_end(run)


def test_an_abort_leaves_it_alone(web_device: Device, run: DeviceRun) -> None:
    skip = lambda: cancelling.skip_unstarted(run.execution, "aborted")  # noqa: E731
    assert while_it_starts(run, web_device, skip) == 0
    assert (run.status, run.error_message) == ("running", "")


def test_a_cancel_that_comes_first_gives_no_go(
    admin: User, web_device: Device, run: DeviceRun
) -> None:
    session = factories.session_of(web_device)
    with transaction.atomic():
        cancelling.cancel_run(run, admin)
        thread, answers = meanwhile(lambda: ledger.start([(session, run.pk)]))
    thread.join()
    assert answers == [[RunStop(web_device.pk, run.pk, "cancelled")]]
    run.refresh_from_db()
    assert (run.status, run.started_at) == ("cancelled", None)


def test_no_move_is_made_by_a_condition_on_another_table(run: DeviceRun) -> None:
    with pytest.raises(ValueError, match="joins"):
        DeviceRun.objects.filter(device__is_online=True).move("cancelled")
