"""`schedule preview` and `schedule calendar`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from devices.models import DeviceGroup
from scheduling import schedules
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from scheduling.tests.cli.conftest import Schedule

BERLIN = ["--zone", "Europe/Berlin"]


def test_a_rule_is_previewed_by_the_flags_of_add(schedule: Schedule) -> None:
    said = schedule("preview", "--daily", "04:00", *BERLIN, "--count", "3", "--json").json
    assert said["text"] == "every day at 04:00, Europe/Berlin"
    assert len(said["runs"]) == 3
    assert all("T04:00:00+0" in run["local"] for run in said["runs"])
    assert not ScheduledTask.objects.exists()


@pytest.mark.usefixtures("in_2026")
def test_the_table_shows_both_clocks_and_what_daylight_saving_does(schedule: Schedule) -> None:
    said = schedule(
        "preview", "--daily", "02:30", *BERLIN, "--start-at", "2027-03-27", "--count", "2"
    )
    assert said.code == 0, said.err
    first, second = [line for line in said.out.splitlines() if "2027-03-2" in line]
    assert "Sat 2027-03-27 02:30:00 +0100" in first
    assert "2027-03-27 01:30:00Z" in first
    assert "Sun 2027-03-28 03:00:00 +0200" in second
    assert "jump" in second


def test_ten_runs_are_shown_and_warnings_are_told(schedule: Schedule) -> None:
    said = schedule("preview", "--monthly", "31@02:00")
    assert said.out.count("02:00:00Z") == 10
    assert "Months without a day 31 are skipped." in said.err


@pytest.mark.usefixtures("in_2026")
def test_the_bounds_of_a_rule_hold(schedule: Schedule) -> None:
    excluded = 'excluded_dates=["2027-01-02"]'
    said = schedule(
        "preview", "--daily", "02:00", "--start-at", "2027-01-01", "--end-at", "2027-01-04T02:00",
        "--set", excluded, "--json",
    )  # fmt: skip
    assert [run["at"][:10] for run in said.json["runs"]] == [
        "2027-01-01",
        "2027-01-03",
        "2027-01-04",
    ]
    assert (
        len(schedule("preview", "--daily", "02:00", "--max-runs", "4", "--json").json["runs"]) == 4
    )


def test_a_task_is_previewed_by_its_name(
    schedule: Schedule, operator: User, web_group: DeviceGroup
) -> None:
    task = factories.task(operator, groups=[web_group], max_runs=3)
    ScheduledTask.objects.filter(pk=task.pk).update(scheduled_run_count=1)
    said = schedule("preview", "Disk space", "--json").json
    assert said["text"] == task.schedule_text
    assert len(said["runs"]) == 2
    schedules.pause(task, operator)
    paused = schedule("preview", "Disk space")
    assert "It is paused" in paused.err
    assert paused.out.count("02:00:00Z") == 2
    assert schedule("preview", "Disk space", "--user", "operator").code == 0


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ([], "task: Give either a task or a rule"),
        (["Disk space", "--daily", "02:00"], "task: Give either a task or a rule"),
        (["Nothing"], "task: There is no task “Nothing”."),
        (["--daily", "02:00", "--count", "101"], "count: "),
        (["Disk space", "--count", "0"], "count: "),
        (["--daily", "02:00", "--zone", "Mars"], "time_zone: "),
        (["--daily", "02:00", "--set", "name=1"], "name: This field is not known."),
        (["--cron", "0 0 31 2 *"], "recurrence_config: "),
    ],
)
def test_a_wrong_preview_is_refused_by_name(
    schedule: Schedule, task: ScheduledTask, arguments: list[str], wrong: str
) -> None:
    said = schedule("preview", *arguments)
    assert said.code == 2
    assert said.err.startswith(wrong)


def test_the_outsider_previews_rules_but_not_other_peoples_tasks(
    schedule: Schedule, task: ScheduledTask, outsider: User
) -> None:
    assert schedule("preview", "--daily", "02:00", "--user", "outsider").code == 0
    assert schedule("preview", task.pk, "--user", "outsider").code == 2


def test_the_calendar_lists_what_ran_and_what_is_to_run(
    schedule: Schedule, task: ScheduledTask
) -> None:
    now = timezone.now()
    factories.execution(
        task, status="skipped", scheduled_for=now - timedelta(hours=1), error_message="In the way."
    )
    span = ["--from", (now - timedelta(days=1)).isoformat(),
            "--to", (now + timedelta(days=2)).isoformat()]  # fmt: skip
    said = schedule("calendar", *span)
    past, *planned = [line for line in said.out.splitlines() if "Disk space" in line]
    assert "Skipped" in past
    assert "In the way." in past
    assert len(planned) == 2
    assert all("Planned" in line and "02:00:00 UTC" in line for line in planned)
    rows = schedule("calendar", *span, "--json").json["rows"]
    assert [row["kind"] for row in rows] == ["past", "planned", "planned"]
    assert schedule("calendar", *span, "--user", "operator", "--json").json["rows"] == rows


def test_the_calendar_is_of_the_week_ahead_and_of_ones_own(
    schedule: Schedule, task: ScheduledTask, outsider: User
) -> None:
    assert len(schedule("calendar", "--json").json["rows"]) == 7
    said = schedule("calendar", "--user", "outsider")
    assert said.out == "Nothing in this time.\n"


@pytest.mark.usefixtures("in_2026")
def test_times_of_the_calendar_are_those_of_its_zone(
    schedule: Schedule, task: ScheduledTask
) -> None:
    span = ["--from", "2027-07-01T00:00", "--to", "2027-07-02T00:00", *BERLIN]
    assert schedule("calendar", *span, "--json").json["from"] == "2027-06-30T22:00:00Z"
    (line,) = [line for line in schedule("calendar", *span).out.splitlines() if task.name in line]
    assert "2027-07-01 04:00:00 CEST" in line
    assert "Thu 02:00:00 UTC" in line


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["--from", "2027-01-02", "--to", "2027-01-01"], "to: "),
        (["--from", "2027-01-01", "--to", "2028-06-01"], "to: "),
        (["--from", "2027-01-01", "--to", "2028-01-01", "--zone", "Mars"], "zone: "),
        (["--zone", "localtime"], "zone: "),
        (["--from", "0001-01-01", "--zone", "Asia/Tokyo"], "from: "),
    ],
)
def test_a_wrong_stretch_of_time_is_refused(
    schedule: Schedule, arguments: list[str], wrong: str
) -> None:
    said = schedule("calendar", *arguments)
    assert said.code == 2
    assert said.err.startswith(wrong)


def test_a_calendar_that_is_cut_says_so(
    schedule: Schedule, task: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduling.calendar.MOST_ROWS", 2)
    said = schedule("calendar")
    assert said.out.count("Disk space") == 2
    assert "There is more" in said.err
