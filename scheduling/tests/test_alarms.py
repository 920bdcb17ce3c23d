"""What a device's journal says against this server's rows raises an alarm, once."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from structlog.testing import capture_logs

from devices.ledger_port import JournalRow
from devices.models import Device
from scheduling import alarms, ledger, pruning
from scheduling.models import Alarm, Execution
from scheduling.tests import factories
from scheduling.tests.test_hello import journal_row


@pytest.fixture
def execution(admin: User) -> Execution:
    return factories.execution(factories.task(admin))


def raised() -> list[tuple[str, object]]:
    return [(alarm.kind, alarm.run_id) for alarm in Alarm.objects.all()]


@pytest.mark.parametrize("row", ["pending", "queued", "claimed"])
@pytest.mark.parametrize("state", ["go", "ended", "unknown"])
def test_a_start_the_server_knows_nothing_of(
    execution: Execution, web_device: Device, row: str, state: str
) -> None:
    run = factories.run(execution, web_device, status=row)
    ledger.hello(factories.come_online(web_device), [journal_row(run, state)])
    assert raised() == [("before_its_start", run.pk)]


@pytest.mark.parametrize("row", ["cancelled", "expired", "skipped", "rejected"])
@pytest.mark.parametrize("state", ["go", "ended", "unknown"])
def test_a_start_of_what_had_ended_without_one(
    execution: Execution, web_device: Device, row: str, state: str
) -> None:
    run = factories.run(execution, web_device, status=row)
    ledger.hello(factories.come_online(web_device), [journal_row(run, state)])
    assert raised() == [("after_its_end", run.pk)]


@pytest.mark.parametrize("state", ["claimed", "go"])
def test_a_run_unknown_here_is_reported(web_device: Device, state: str) -> None:
    stranger = uuid.uuid4()
    ledger.hello(factories.session_of(web_device), [JournalRow(stranger, state)])
    assert raised() == [("unknown_run", stranger)]


@pytest.mark.parametrize(
    ("row", "state"),
    [
        ("running", "go"), ("running", "ended"), ("lost", "go"), ("lost", "ended"),
        ("claimed", "claimed"), ("queued", "claimed"), ("expired", "claimed"),
        ("succeeded", "go"), ("killed", "ended"), ("killed", "go"),
    ],
)  # fmt: skip
def test_what_agrees_raises_none(
    execution: Execution, web_device: Device, row: str, state: str
) -> None:
    run = factories.run(execution, web_device, status=row)
    ledger.hello(factories.come_online(web_device), [journal_row(run, state)])
    assert raised() == []


def test_a_result_raises_it_as_well(admin: User, execution: Execution, web_device: Device) -> None:
    early = factories.run(execution, web_device, status="queued")
    other = factories.execution(factories.task(admin))
    ended = factories.run(other, web_device, status="expired")
    ledger.results([factories.result_of(early), factories.result_of(ended)])
    assert sorted(raised()) == sorted([("before_its_start", early.pk), ("after_its_end", ended.pk)])


def test_each_hello_says_it_again_and_it_stays_one(web_device: Device) -> None:
    stranger = uuid.uuid4()
    with capture_logs() as logs:
        for _ in range(2):
            session = factories.come_online(web_device)
            ledger.hello(session, [JournalRow(stranger, "go")])
    alarm = Alarm.objects.get()
    assert alarm.last_seen_at > alarm.first_seen_at
    assert [log["event"] for log in logs].count("alarm") == 1


def test_what_a_device_makes_up_fills_neither_the_table_nor_the_log(
    web_device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms, "MOST_UNKNOWN", 3)
    with capture_logs() as logs:
        for number in (2, 5, 7):
            session = factories.come_online(web_device)
            ledger.hello(session, [JournalRow(uuid.uuid4(), "go") for _ in range(number)])
            assert [log["event"] for log in logs].count("alarm") == 1
            logs.clear()
    kinds = sorted(alarm.kind for alarm in Alarm.objects.all())
    assert kinds == ["more_unknown", "unknown_run", "unknown_run", "unknown_run"]
    rest = Alarm.objects.get(kind="more_unknown")
    assert rest.number == 7
    assert rest.says.startswith("Is one of 7 further runs")


def test_what_a_device_repeats_beyond_the_limit_is_logged_once(
    web_device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms, "MOST_UNKNOWN", 1)
    said = [JournalRow(uuid.uuid4(), "go") for _ in range(3)]
    with capture_logs() as logs:
        for _ in range(2):
            ledger.hello(factories.come_online(web_device), said)
    assert [log["event"] for log in logs].count("alarm") == 1
    assert Alarm.objects.count() == 2


def test_alarms_are_seen_by_who_sees_the_device(
    operator: User, outsider: User, web_group: object, web_device: Device
) -> None:
    ledger.hello(factories.session_of(web_device), [JournalRow(uuid.uuid4(), "go")])
    assert Alarm.objects.visible_to(operator).count() == 1
    assert Alarm.objects.visible_to(outsider).count() == 0


def test_an_alarm_is_kept_as_long_as_the_history(web_device: Device, settings: Any) -> None:
    alarms.unknown_runs(web_device, [uuid.uuid4(), uuid.uuid4()])
    old = timezone.now() - timedelta(days=settings.DEPLOYX_KEEP_HISTORY_DAYS + 1)
    Alarm.objects.filter(pk=Alarm.objects.values("pk")[:1]).update(last_seen_at=old)
    assert pruning.prune()["alarms"] == 1
    assert Alarm.objects.count() == 1
