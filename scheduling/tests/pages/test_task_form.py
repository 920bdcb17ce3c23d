from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from devices.models import DeviceGroup
from scheduling import definitions
from scheduling.forms.options import OptionsForm
from scheduling.models import Execution, ScheduledTask
from scheduling.options import Retry, Rollout
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


# Each is another than its default.
OPTIONS = {
    "start_at": "2090-01-01T08:00",
    "end_at": "2091-01-01T08:00",
    "max_runs": "7",
    "excluded_dates": "2090-12-24, 2090-12-25",
    "jitter_seconds": "3",
    "jitter_seconds_unit": "minutes",
    "misfire_policy": "run_all",
    "misfire_grace_seconds": "2",
    "misfire_grace_seconds_unit": "hours",
    "overlap_policy": "queue_one",
    "offline_policy": "skip",
    "expires_after_seconds": "5",
    "expires_after_seconds_unit": "days",
    "timeout_seconds": "45",
    "timeout_seconds_unit": "seconds",
    "strategy": "canary",
    "max_concurrent": "9",
    "batch_size": "20%",
    "canary_size": "3",
    "soak_seconds": "60",
    "abort_after_failures": "15%",
    "success_threshold_percent": "90",
    "max_attempts": "4",
    "backoff_seconds": "20",
    "backoff_multiplier": "1.5",
    "on_exit_codes": "1, 75",
}
OPTIONS_STORED: dict[str, Any] = {
    "start_at": datetime(2090, 1, 1, 7, tzinfo=UTC),
    "end_at": datetime(2091, 1, 1, 7, tzinfo=UTC),
    "max_runs": 7,
    "excluded_dates": ["2090-12-24", "2090-12-25"],
    "jitter_seconds": 180,
    "misfire_policy": "run_all",
    "misfire_grace_seconds": 7_200,
    "overlap_policy": "queue_one",
    "offline_policy": "skip",
    "expires_after_seconds": 432_000,
    "timeout_seconds": 45,
    "rollout": {
        "strategy": "canary",
        "max_concurrent": 9,
        "batch_size": "20%",
        "canary_size": 3,
        "soak_seconds": 60,
        "abort_after_failures": "15%",
        "success_threshold_percent": 90,
    },
    "retry": {
        "max_attempts": 4,
        "backoff_seconds": 20,
        "backoff_multiplier": 1.5,
        "on_exit_codes": [1, 75],
    },
}


@pytest.fixture
def typed(daily_df: dict[str, Any]) -> dict[str, Any]:
    """A form filled in for `df -h` on the group web, each day at two."""
    return {
        "name": "Disk space",
        "tags": "daily, disks",
        **daily_df,
        "time_zone": "Europe/Berlin",
        "timeout_seconds": "2",
        "timeout_seconds_unit": "minutes",
    }


def test_the_form_begins_with_the_defaults_of_every_door(as_operator: Client) -> None:
    page = as_operator.get("/tasks/new").content.decode()
    assert 'name="timeout_seconds" value="1"' in page
    assert "Every day at 02:00, UTC" in page
    examples = re.findall(r'<button class="([^"]*)" type="button" data-fill=', page)
    assert set(examples) == {"button with-script"}  # nothing happens where no script runs


def test_schedule_makes_the_task(
    as_operator: Client, operator: User, web_group: DeviceGroup, typed: dict[str, Any]
) -> None:
    answer = as_operator.post("/tasks/new", typed)
    task = ScheduledTask.objects.get()
    assert answer["Location"] == task.get_absolute_url()
    assert (task.user, task.name, task.tags) == (operator, "Disk space", ["daily", "disks"])
    assert task.task_payload["commands"] == ["df -h"]
    assert task.recurrence_config["time"] == "02:00"
    assert task.time_zone == "Europe/Berlin"
    assert task.group_ids == [str(web_group.pk)]
    assert task.timeout_seconds == 120


@pytest.mark.parametrize(
    ("changes", "config"),
    [
        (
            {"recurrence_type": "once", "run_at": "2090-01-31T02:00"},
            {"run_at": "2090-01-31T02:00"},
        ),
        ({"recurrence_type": "once", "by_hand": "on"}, {"run_at": None}),
        (
            {"recurrence_type": "interval", "every": "15", "unit": "minutes"},
            {"every": 15, "unit": "minutes"},
        ),
        ({"every": "3"}, {"time": "02:00", "every": 3}),
        (
            {"recurrence_type": "weekly", "days_of_week": ["0", "4"]},
            {"time": "02:00", "days_of_week": [0, 4]},
        ),
        (
            {"recurrence_type": "monthly", "day_of_month": "31", "missing_day": "last"},
            {"time": "02:00", "day_of_month": 31, "missing_day": "last"},
        ),
        (
            {"recurrence_type": "monthly", "monthly_by": "weekday", "nth": "2", "weekday": "1"},
            {"time": "02:00", "nth": 2, "weekday": 1},
        ),
        (
            {"recurrence_type": "custom", "cron_expression": "*/15 8-18 * * 1-5"},
            {"cron_expression": "*/15 8-18 * * 1-5"},
        ),
    ],
)
def test_each_recurrence_can_be_typed(
    as_operator: Client, typed: dict[str, Any], changes: dict[str, Any], config: dict[str, Any]
) -> None:
    answer = as_operator.post("/tasks/new", typed | changes)
    assert answer.status_code == 302, answer.context["form"].recurrence.errors
    stored = ScheduledTask.objects.get().recurrence_config
    assert stored | config == stored


def test_what_was_refused_keeps_what_was_typed_and_says_why_beside_its_field(
    as_operator: Client, typed: dict[str, Any]
) -> None:
    wrong = {"name": "", "command-commands": ["df -h", "uptime"], "time_zone": "Mars/Olympus"}
    answer = as_operator.post("/tasks/new", typed | wrong)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert not ScheduledTask.objects.exists()
    form = answer.context["form"]
    assert form.basics.errors["name"]
    assert form.recurrence.errors["time_zone"]
    assert 'value="Mars/Olympus"' in page
    assert "uptime" in page
    assert 'aria-invalid="true"' in page


def test_a_payload_is_refused_beside_the_kinds_own_field(
    as_operator: Client, typed: dict[str, Any]
) -> None:
    wrong = {"command-working_directory": "not/absolute", "command-commands": [""]}
    answer = as_operator.post("/tasks/new", typed | wrong)
    inputs = {one.spec.name: one for one in answer.context["form"].payloads[0].inputs}
    assert inputs["working_directory"].errors
    assert inputs["commands"].errors
    assert 'id="error_command-working_directory"' in answer.content.decode()


def test_an_option_is_refused_beside_its_field_and_the_fold_is_open(
    as_operator: Client, typed: dict[str, Any]
) -> None:
    answer = as_operator.post("/tasks/new", typed | {"max_concurrent": "0"})
    assert answer.context["form"].options.errors["max_concurrent"]
    assert "<details open>" in answer.content.decode()


def test_every_option_of_the_fold_reaches_the_task(
    as_operator: Client, typed: dict[str, Any]
) -> None:
    assert OPTIONS.keys() == OptionsForm.base_fields.keys() - {"start_at_exact", "end_at_exact"}
    answer = as_operator.post("/tasks/new", typed | OPTIONS)
    assert answer.status_code == 302, answer.context["form"].options.errors
    stored = definitions.as_input(ScheduledTask.objects.get())
    for name, expected in OPTIONS_STORED.items():
        assert stored[name] == expected, name
        assert stored[name] != definitions.DEFAULTS[name](), name
    for name, default in (Rollout.defaults() | Retry.defaults()).items():
        assert {**stored["rollout"], **stored["retry"]}[name] != default, name


def test_no_target_is_refused_beside_the_targets(
    as_operator: Client, typed: dict[str, Any]
) -> None:
    answer = as_operator.post("/tasks/new", typed | {"group_ids": []})
    assert answer.context["form"].target_errors == ["Name at least one device or group."]


def test_somebody_elses_device_cannot_be_targeted(
    as_operator: Client, typed: dict[str, Any]
) -> None:
    theirs = factories.device("theirs")
    answer = as_operator.post("/tasks/new", typed | {"device_ids": [str(theirs.pk)]})
    assert answer.context["form"].target_errors == [f"Not found: {theirs.pk}."]
    assert not ScheduledTask.objects.exists()


def test_execute_now_runs_it_once_and_schedules_nothing(
    as_operator: Client, typed: dict[str, Any]
) -> None:
    answer = as_operator.post("/tasks/new", typed | {"execute_now": "1"})
    execution = Execution.objects.get()
    assert answer["Location"] == execution.get_absolute_url()
    assert execution.task is not None
    assert execution.task.ad_hoc
    assert not ScheduledTask.objects.listed().exists()


def test_a_look_shows_the_next_runs_and_saves_nothing(
    as_operator: Client, typed: dict[str, Any]
) -> None:
    page = as_operator.post("/tasks/new", typed | {"look": "1"}).content.decode()
    assert "Every day at 02:00, Europe/Berlin" in page
    assert not ScheduledTask.objects.exists()


def test_the_preview_shows_the_zone_and_utc_beside_it(
    as_operator: Client, typed: dict[str, Any]
) -> None:
    page = as_operator.post("/tasks/preview", typed).content.decode()
    assert page.count("02:00 Europe/Berlin") == 5
    assert page.count(" UTC</time>") == 5


@pytest.mark.usefixtures("in_2026")
@pytest.mark.parametrize(
    ("rule", "note"),
    [
        ({"time": "02:30"}, "The clocks jump over 02:30: it runs at 03:00."),
        (
            {"recurrence_type": "custom", "cron_expression": "30 * * * *"},
            "The clocks jump from 02:00 to 03:00: what would run in between is left out.",
        ),
    ],
)
def test_the_preview_says_which_run_the_clocks_shift_or_drop(
    as_operator: Client, typed: dict[str, Any], rule: dict[str, Any], note: str
) -> None:
    changed = typed | rule | {"start_at": "2027-03-28T01:00"}
    page = as_operator.post("/tasks/preview", changed).content.decode()
    noted = [one for one in page.split("<li>") if note in one]
    assert len(noted) == 1
    assert "Sun 28 Mar 2027, 03:" in noted[0]


def test_the_preview_says_what_is_wrong_with_the_rule(
    as_operator: Client, typed: dict[str, Any]
) -> None:
    wrong = {"recurrence_type": "custom", "cron_expression": "61 * * * *"}
    answer = as_operator.post("/tasks/preview", typed | wrong)
    assert answer.context["preview"] is None
    assert answer.context["preview_errors"]


@pytest.mark.parametrize(
    ("kind", "asks"),
    [
        ("weekly", "Choose at least one weekday."),
        ("once", "Choose a date and time."),
        ("custom", "Write a cron expression, or choose an example."),
    ],
)
def test_the_preview_asks_for_what_was_not_yet_chosen(
    as_operator: Client, typed: dict[str, Any], kind: str, asks: str
) -> None:
    page = as_operator.post("/tasks/preview", typed | {"recurrence_type": kind}).content.decode()
    assert page.count("<p ") == 1
    assert asks in page
    refused = as_operator.post("/tasks/new", typed | {"recurrence_type": kind})
    assert asks in [
        said for one in refused.context["form"].recurrence.errors.values() for said in one
    ]


def test_editing_shows_the_task_as_it_is_and_saves_what_changed(
    as_operator: Client, task: ScheduledTask, typed: dict[str, Any]
) -> None:
    address = f"/tasks/{task.pk}/edit"
    assert 'value="Disk space"' in as_operator.get(address).content.decode()
    answer = as_operator.post(address, typed | {"name": "Disks", "time": "03:30"})
    assert answer["Location"] == task.get_absolute_url()
    task.refresh_from_db()
    assert (task.name, task.recurrence_config["time"]) == ("Disks", "03:30")


def test_a_duplicate_starts_from_the_original_and_leaves_it_alone(
    as_operator: Client, task: ScheduledTask
) -> None:
    page = as_operator.get(f"/tasks/new?from={task.pk}").content.decode()
    assert 'value="Copy of Disk space"' in page
    assert "echo hello" in page
    assert ScheduledTask.objects.count() == 1


def test_nobody_duplicates_what_they_may_not_see(as_outsider: Client, task: ScheduledTask) -> None:
    assert as_outsider.get(f"/tasks/new?from={task.pk}").status_code == 404


def test_the_pickers_offer_only_what_this_person_may_use(
    as_operator: Client, web_group: DeviceGroup
) -> None:
    factories.device("not-theirs")
    page = as_operator.get("/tasks/new").content.decode()
    assert "web-1" in page
    assert "not-theirs" not in page


def test_a_search_among_the_targets_keeps_what_is_ticked(
    as_operator: Client, web_group: DeviceGroup
) -> None:
    data = {"group_ids": [str(web_group.pk)], "device_search": "nothing-like-it"}
    page = as_operator.post("/tasks/targets", data).content.decode()
    assert f'value="{web_group.pk}" checked' in page
    assert "1 device now" in page
    assert "web-1" not in page
