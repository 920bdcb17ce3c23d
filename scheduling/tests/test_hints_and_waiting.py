"""Hints go out after the commit only, and their loss harms nobody; and what a run waits for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as RedisGone

from devices.models import Device
from scheduling import due, executions, hints, ledger, reconcile, rollout, schedules, waiting
from scheduling.models import DeviceRun, Execution
from scheduling.tests import factories


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What went to the channel layer."""
    told: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(hints, "send_to_group", lambda *message: told.append(message))
    return told


Sent = list[tuple[str, Any]]


def test_nothing_is_sent_before_the_commit(
    admin: User, sent: Sent, groups: list[Any], after_commit: Callable[..., Any]
) -> None:
    task = factories.by_hand(admin)
    with after_commit():
        execution = schedules.execute(task, admin)
        assert (sent, groups) == ([], [])
    assert ("scheduling.tasks.advance", [[str(execution.pk)]]) in sent
    told = {(group, message.get("object")) for group, message in groups}
    assert told >= {("live", "execution"), ("live", "task")}


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_of_what_was_rolled_back(sent: Sent, groups: list[Any]) -> None:
    admin = factories.person(is_administrator=True)
    task = factories.by_hand(admin)
    sent.clear()
    groups.clear()
    with transaction.atomic():
        schedules.execute(task, admin)
        transaction.set_rollback(True)
    assert (sent, groups) == ([], [])
    assert not Execution.objects.exists()


def test_a_cancel_wakes_the_hubs(
    admin: User, groups: list[Any], after_commit: Callable[..., Any]
) -> None:
    execution = factories.execution(factories.task(admin))
    factories.run(execution)
    with after_commit():
        executions.cancel(execution, admin)
    assert ("hubs", {"type": "hub.wake"}) in groups


@pytest.mark.parametrize(
    "error", [OperationalError("down"), RedisGone("down"), ConnectionResetError()]
)
def test_a_lost_hint_is_no_error(
    admin: User,
    monkeypatch: pytest.MonkeyPatch,
    after_commit: Callable[..., Any],
    error: Exception,
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(current_app, "send_task", refuse)
    task = factories.by_hand(admin)
    with after_commit():
        execution = schedules.execute(task, admin)
    assert Execution.objects.get() == execution


@pytest.fixture
def execution(admin: User) -> Execution:
    """One device at a time, and a day between waves."""
    task = factories.task(admin, rollout={"max_concurrent": 1, "soak_seconds": 86_400})
    return factories.execution(task)


def explained(run: DeviceRun) -> tuple[str | None, bool]:
    """What the run waits for, and whether it is known since when."""
    row = DeviceRun.objects.select_related("execution", "device").get(pk=run.pk)
    waiting.explain([row])
    return row.waiting_for, row.waiting_since is not None  # type: ignore[attr-defined]


def since(run: DeviceRun) -> Any:
    row = DeviceRun.objects.select_related("execution", "device").get(pk=run.pk)
    waiting.explain([row])
    return row.waiting_since  # type: ignore[attr-defined]


NOW, LONG_AGO = timezone.now(), timezone.now() - timedelta(days=2)
# the run, its execution, its device → what it waits for
REASONS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = [
    ({"status": "pending"}, {"open_wave": 0}, {}, "dispatcher"),
    ({"status": "pending"}, {}, {}, "dispatcher"),
    ({"status": "pending", "wave": 2}, {}, {}, "earlier_wave"),
    ({"status": "pending", "wave": 2}, {"rollout_paused_at": NOW}, {}, "earlier_wave"),
    (
        {"status": "pending", "wave": 2},
        {"rollout_paused_at": NOW, "wave_closed_at": NOW},
        {},
        "rollout_paused",
    ),
    ({"status": "pending", "wave": 2}, {"wave_closed_at": NOW}, {}, "soaking"),
    ({"status": "pending", "wave": 2}, {"wave_closed_at": LONG_AGO}, {}, "dispatcher"),
    ({"status": "pending"}, {}, {"is_online": False}, "device_offline"),
    ({"status": "pending"}, {}, {"in_recovery": True}, "recovery"),
    ({"status": "pending"}, {"rollout_paused_at": timezone.now()}, {}, "rollout_paused"),
    (
        {"status": "pending", "not_before": timezone.now() + timedelta(hours=1), "attempt": 2},
        {},
        {},
        "retry_backoff",
    ),
    (
        {"status": "pending", "not_before": timezone.now() - timedelta(hours=1), "attempt": 2},
        {},
        {},
        "dispatcher",
    ),
    ({"status": "queued"}, {}, {}, "agent"),
    ({"status": "queued", "has_slot": False}, {}, {}, "dispatcher"),
    ({"status": "queued"}, {}, {"is_online": False}, "device_offline"),
    ({"status": "queued"}, {}, {"is_ready": False}, "agent_not_ready"),
    ({"status": "queued"}, {"rollout_paused_at": NOW}, {}, "rollout_paused"),
    ({"status": "claimed"}, {}, {}, "agent"),
    ({"status": "claimed"}, {"rollout_paused_at": NOW}, {}, "agent"),
    ({"status": "claimed"}, {}, {"is_online": False}, "device_offline"),
]


@pytest.mark.parametrize(("run", "of", "on", "reason"), REASONS)
def test_a_run_that_has_not_started_says_what_it_waits_for(
    execution: Execution,
    web_device: Device,
    run: dict[str, Any],
    of: dict[str, Any],
    on: dict[str, Any],
    reason: str,
) -> None:
    made = factories.run(execution, web_device, **run)
    Execution.objects.filter(pk=execution.pk).update(**(of or {"open_wave": 1}))
    Device.objects.filter(pk=web_device.pk).update(**(on or {"is_online": True}))
    assert explained(made) == (reason, True)


@pytest.mark.parametrize("waits", [{"status": "pending"}, {"status": "queued", "has_slot": False}])
def test_the_limit_is_named_only_while_as_many_are_at_work(
    execution: Execution, waits: dict[str, Any]
) -> None:
    waiting_run = factories.run(execution, **waits)
    at_work = factories.run(execution, status="running")
    assert explained(waiting_run) == ("concurrency_limit", True)
    DeviceRun.objects.filter(pk=at_work.pk).update(deadline_at=LONG_AGO)
    assert explained(waiting_run) == ("dispatcher", True)


@pytest.mark.parametrize(("others", "reason"), [(1, "agent"), (2, "device_busy")])
def test_a_device_with_as_many_runs_as_it_may_have_is_busy(
    execution: Execution, web_device: Device, admin: User, settings: Any, others: int, reason: str
) -> None:
    settings.DEPLOYX_RUNS_PER_DEVICE = 2
    waiting_run = factories.run(execution, web_device, status="queued")
    for status in ("running", "claimed")[:others]:
        factories.run(factories.execution(factories.task(admin)), web_device, status=status)
    assert explained(waiting_run) == (reason, True)


@pytest.mark.parametrize(("is_exclusive", "reason"), [(True, "device_busy"), (False, "agent")])
def test_a_device_is_busy_for_the_next_run_of_a_task_it_is_at(
    execution: Execution, web_device: Device, is_exclusive: bool, reason: str
) -> None:
    assert execution.task is not None
    waiting_run = factories.run(execution, web_device, status="queued", is_exclusive=is_exclusive)
    factories.run(factories.execution(execution.task), web_device, status="running")
    assert explained(waiting_run) == (reason, True)


@pytest.mark.parametrize("status", ["running", "succeeded", "skipped", "lost"])
def test_a_run_that_has_started_or_ended_waits_for_nothing(
    execution: Execution, status: str
) -> None:
    assert explained(factories.run(execution, status=status)) == (None, False)


def test_a_page_of_runs_is_explained_by_one_query(
    execution: Execution, django_assert_num_queries: Callable[..., Any]
) -> None:
    for status in ("pending", "queued", "claimed", "running") * 3:
        factories.run(execution, status=status)
    rows = list(execution.runs.select_related("execution", "device"))
    with django_assert_num_queries(1, connection=connection):
        waiting.explain(rows)


@pytest.mark.usefixtures("signer")
def test_hubs_are_woken_only_where_there_is_something_to_grant(
    admin: User, web_device: Device, groups: list[Any], after_commit: Callable[..., Any]
) -> None:
    offer = ("hubs", {"type": "hub.offer"})
    factories.go_offline(web_device)
    execution = schedules.execute(factories.by_hand(admin, devices=[web_device]), admin)
    with after_commit():
        rollout.advance(execution.pk)
    assert offer not in groups
    factories.come_online(web_device)
    with after_commit():
        rollout.advance(execution.pk)
    assert offer in groups


def test_a_device_that_comes_online_moves_on_what_waited_for_it(
    execution: Execution,
    web_device: Device,
    sent: Sent,
    groups: list[Any],
    after_commit: Callable[..., Any],
) -> None:
    factories.run(execution, web_device, status="queued")
    factories.run(factories.execution(execution.task), web_device, status="succeeded")  # type: ignore[arg-type]
    with after_commit():
        ledger.device_came_online([web_device.pk])
    assert sent == [("scheduling.tasks.advance", [[str(execution.pk)]])]
    told = {message["object"]: message["ids"] for _group, message in groups}
    assert told == {"execution": [str(execution.pk)], "device": [str(web_device.pk)]}


def told_of(groups: list[Any]) -> set[tuple[str, str]]:
    """What open pages were told changed."""
    live = [message for group, message in groups if group == "live"]
    return {(message["object"], one) for message in live for one in message["ids"]}


@pytest.mark.usefixtures("signer")
def test_pages_hear_of_every_step_from_the_release_to_the_end(
    admin: User, web_device: Device, groups: list[Any], after_commit: Callable[..., Any]
) -> None:
    execution = schedules.execute(factories.by_hand(admin, devices=[web_device]), admin)
    session = factories.session_of(web_device)
    (run,) = execution.runs.all()
    steps: list[Callable[[], object]] = [
        lambda: rollout.advance(execution.pk),
        lambda: ledger.claim([session]),
        lambda: ledger.start([(session, run.pk)]),
        lambda: ledger.results([factories.result_of(run)]),
        lambda: rollout.advance(execution.pk),
    ]
    for step in steps:
        groups.clear()
        with after_commit():
            step()
        assert ("execution", str(execution.pk)) in told_of(groups)
    execution.refresh_from_db()
    assert execution.has_ended


def test_pages_hear_that_a_device_went_away_and_of_what_waits_for_it(
    execution: Execution, web_device: Device, groups: list[Any], after_commit: Callable[..., Any]
) -> None:
    factories.run(execution, web_device, status="queued")
    Device.objects.update(last_seen_at=timezone.now() - timedelta(minutes=5))
    with after_commit():
        assert reconcile.sweep_presence() >= 1
    assert told_of(groups) >= {("device", str(web_device.pk)), ("execution", str(execution.pk))}


def test_pages_hear_of_all_that_a_burst_opens(
    admin: User, web_device: Device, groups: list[Any], after_commit: Callable[..., Any]
) -> None:
    begins = factories.task(admin, devices=[web_device])
    is_skipped = factories.task(admin, groups=[factories.group()])
    for task in (begins, is_skipped):
        factories.make_due(task)
    groups.clear()
    with after_commit():
        assert due.open_many({begins.pk: None, is_skipped.pk: None}, "beat") == 2
    born = Execution.objects.filter(task__in=[begins, is_skipped])
    assert set(born.values_list("status", flat=True)) == {"running", "skipped"}
    expected = {("execution", str(one.pk)) for one in born}
    expected |= {("task", str(task.pk)) for task in (begins, is_skipped)}
    assert told_of(groups) == expected


def test_pages_hear_of_what_ended_unstarted(
    execution: Execution, groups: list[Any], after_commit: Callable[..., Any]
) -> None:
    factories.run(execution, status="queued", not_after=timezone.now() - timedelta(hours=1))
    with after_commit():
        assert reconcile.expire() == 1
    assert ("execution", str(execution.pk)) in told_of(groups)


def test_nothing_is_waited_for_before_the_run_was_made(
    execution: Execution, web_device: Device
) -> None:
    long_ago = timezone.now() - timedelta(days=30)
    Device.objects.filter(pk=web_device.pk).update(is_online=False, last_seen_at=long_ago)
    Execution.objects.filter(pk=execution.pk).update(open_wave=1)
    made = factories.run(execution, web_device)
    row = DeviceRun.objects.select_related("execution", "device").get(pk=made.pk)
    waiting.explain([row])
    assert row.waiting_since == made.created_at  # type: ignore[attr-defined]
    Execution.objects.filter(pk=execution.pk).update(rollout_paused_at=long_ago)
    row = DeviceRun.objects.select_related("execution", "device").get(pk=made.pk)
    waiting.explain([row])
    assert row.waiting_since == made.created_at  # type: ignore[attr-defined]


@pytest.mark.parametrize("status", ["queued", "claimed"])
def test_a_device_is_waited_for_only_since_it_came_back(
    execution: Execution, web_device: Device, status: str
) -> None:
    made = factories.run(execution, web_device, status=status)
    came_back = timezone.now() + timedelta(minutes=1)
    Device.objects.filter(pk=web_device.pk).update(online_changed_at=came_back)
    assert since(made) == came_back
    Device.objects.filter(pk=web_device.pk).update(online_changed_at=LONG_AGO)
    assert since(made) == (made.claimed_at or made.queued_at)


def test_the_wave_before_is_watched_since_it_closed(execution: Execution) -> None:
    made = factories.run(execution, wave=2)
    closed_at = timezone.now() + timedelta(seconds=1)
    Execution.objects.filter(pk=execution.pk).update(wave_closed_at=closed_at)
    assert since(made) == closed_at


def test_every_reason_is_one_that_a_run_was_seen_to_have() -> None:
    seen = {reason for *_row, reason in REASONS} | {"device_busy", "concurrency_limit"}
    assert seen == set(waiting.WaitingFor.values)
