from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from devices.models import Device
from scheduling import plans, timetable
from scheduling.models import ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db

START = factories.moment("2030-06-03T00:00")
DAYS = [(START + timedelta(days=day), START + timedelta(days=day + 1)) for day in range(7)]


@pytest.fixture
def kiosk() -> Device:
    return factories.device("kiosk")


def daily(user: User, name: str, time: str, *devices: Device, **changes: Any) -> ScheduledTask:
    config = {"time": time, **changes.pop("config", {})}
    return factories.task(user, devices=devices, name=name, recurrence_config=config, **changes)


def every(user: User, minutes: int, *devices: Device, **changes: Any) -> ScheduledTask:
    return factories.task(
        user,
        devices=devices,
        recurrence_type="interval",
        recurrence_config={"every": minutes, "unit": "minutes"},
        **changes,
    )


def names(cell: timetable.Cell) -> list[str]:
    return [row.task_name for row in cell.rows]


def test_every_cell_has_its_first_rows_and_the_number_of_the_others(admin: User) -> None:
    for number in range(5):
        daily(admin, f"task {number}", f"0{number}:00")
    found = timetable.of(admin, DAYS, 3)
    assert [names(cell) for cell in found.cells] == [["task 0", "task 1", "task 2"]] * 7
    assert [(cell.planned, cell.more) for cell in found.cells] == [(5, 2)] * 7


def test_what_runs_every_minute_does_not_hide_what_comes_later(admin: User) -> None:
    every(admin, 1, name="a pulse")
    daily(admin, "backup", "23:00")
    found = timetable.of(admin, DAYS, 3)
    assert [names(cell) for cell in found.cells] == [["a pulse", "backup"]] * 7
    assert found.cells[6].planned == 24 * 60 + 1


def test_max_runs_ends_a_plan_within_the_cells(admin: User) -> None:
    daily(admin, "twice", "02:00", start_at="2030-06-04T00:00:00Z", max_runs=2)
    assert [cell.planned for cell in timetable.of(admin, DAYS, 3).cells] == [0, 1, 1, 0, 0, 0, 0]


def test_every_third_day_is_counted_from_the_tasks_own_day(admin: User) -> None:
    for day in (3, 4):
        at = f"2030-06-0{day}T00:00:00Z"
        daily(admin, f"from the {day}th", "02:00", start_at=at, config={"every": 3})
    assert [cell.planned for cell in timetable.of(admin, DAYS, 3).cells] == [1, 1, 0, 1, 1, 0, 1]


def test_past_executions_are_counted_by_status(admin: User, task: ScheduledTask) -> None:
    at = factories.moment("2026-01-05T02:00")
    for number, status in enumerate(["success", "failed", "success", "missed"]):
        moment = at + timedelta(minutes=number)
        factories.execution(task, status=status, scheduled_for=moment, trigger="schedule")
    week = [(at + timedelta(days=day), at + timedelta(days=day + 1)) for day in range(7)]
    cell = timetable.of(admin, week, 3).cells[0]
    assert cell.past == {"success": 2, "failed": 1, "missed": 1}
    assert (cell.wrong, cell.more) == (2, 1)
    assert [row.status for row in cell.rows] == ["success", "failed", "success"]


def test_two_tasks_that_name_one_device_in_one_minute_collide(admin: User, kiosk: Device) -> None:
    daily(admin, "one", "02:00", kiosk)
    daily(admin, "two", "02:00", kiosk)
    daily(admin, "elsewhere", "03:00")
    assert timetable.of(admin, DAYS, 3).cells[0].collisions == {START + timedelta(hours=2)}


def test_rules_of_different_kinds_collide_as_well(admin: User, kiosk: Device) -> None:
    daily(admin, "one", "02:00", kiosk)
    cron = {"cron_expression": "0 2 * * 2"}
    factories.task(admin, devices=[kiosk], recurrence_type="custom", recurrence_config=cron)
    found = [len(cell.collisions) for cell in timetable.of(admin, DAYS, 3).cells]
    assert found == [0, 1, 0, 0, 0, 0, 0]


def test_tasks_on_different_devices_do_not_collide(admin: User) -> None:
    daily(admin, "one", "02:00")
    daily(admin, "two", "02:00")
    assert not timetable.of(admin, DAYS, 3).collides


def test_a_crowd_at_one_minute_collides_wherever_it_runs(
    admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "CROWD", 3)
    for number in range(3):
        daily(admin, f"task {number}", "02:00")
    assert timetable.of(admin, DAYS, 1).collides


def test_what_runs_all_the_time_is_not_compared(admin: User, kiosk: Device) -> None:
    every(admin, 1, kiosk)
    daily(admin, "one", "02:00", kiosk)
    assert not timetable.of(admin, DAYS, 3).collides


def test_a_search_leaves_the_others_out(admin: User) -> None:
    daily(admin, "backup", "02:00")
    daily(admin, "vacuum", "03:00")
    assert names(timetable.of(admin, DAYS, 3, "back").cells[0]) == ["backup"]


def test_it_shows_nothing_of_others(operator: User, task: ScheduledTask, outsider: User) -> None:
    assert timetable.of(operator, DAYS, 3).total
    assert not timetable.of(outsider, DAYS, 3).total


def test_tasks_by_one_rule_are_one_plan(admin: User) -> None:
    for number in range(4):
        daily(admin, f"task {number}", "02:00")
    assert timetable.of(admin, DAYS, 3).plans == 1


def test_too_much_to_look_at_is_said(admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "MOST_LOOKS", 3)
    daily(admin, "one", "02:00")
    daily(admin, "two", "03:00")
    assert timetable.of(admin, DAYS, 3).is_capped


def test_more_tasks_and_days_ask_no_more_queries(admin: User, task: ScheduledTask) -> None:
    at = factories.moment("2026-01-05T02:00")
    factories.execution(task, status="success", scheduled_for=at)

    def queries(days: int) -> int:
        spans = [(at + timedelta(days=day), at + timedelta(days=day + 1)) for day in range(days)]
        with CaptureQueriesContext(connection) as captured:
            timetable.of(admin, spans, 3)
        return len(captured)

    before = queries(7)
    for number in range(5):
        daily(admin, f"task {number}", f"0{number}:00")
        moment: datetime = at + timedelta(days=number + 1)
        factories.execution(task, status="success", scheduled_for=moment)
    assert before == queries(42) == 3
