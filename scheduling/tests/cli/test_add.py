from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError

from devices.models import Device, DeviceGroup
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from scheduling.tests.cli.conftest import Schedule

WHEN = [
    (["--daily", "2:00"], "daily", {"time": "02:00"}),
    (["--every", "15 minutes"], "interval", {"every": 15, "unit": "minutes"}),
    (["--every", "2h"], "interval", {"every": 2, "unit": "hours"}),
    (["--weekly", "mon,thu@02:00"], "weekly", {"time": "02:00", "days_of_week": [0, 3]}),
    (["--weekly", "Sunday", "--at", "23:30"], "weekly", {"time": "23:30", "days_of_week": [6]}),
    (["--monthly", "31", "--at", "02:00"], "monthly", {"time": "02:00", "day_of_month": 31}),
    (["--monthly", "last@02:00"], "monthly", {"time": "02:00", "day_of_month": -1}),
    (["--monthly", "2tue@02:00"], "monthly", {"time": "02:00", "nth": 2, "weekday": 1}),
    (["--monthly", "last fri@02:00"], "monthly", {"time": "02:00", "nth": -1, "weekday": 4}),
    (
        ["--monthly", "31@02:00", "--missing-day", "last"],
        "monthly",
        {"day_of_month": 31, "missing_day": "last"},
    ),
    (["--cron", "*/15 8-18 * * 1-5"], "custom", {"cron_expression": "*/15 8-18 * * 1-5"}),
    (["--once", "2099-01-31 02:00"], "once", {"run_at": "2099-01-31T02:00"}),
    (["--by-hand"], "once", {"run_at": None}),
]


@pytest.mark.parametrize(("arguments", "kind", "config"), WHEN)
def test_every_way_to_say_when_becomes_its_recurrence(
    schedule: Schedule, web_group: DeviceGroup, arguments: list[str], kind: str, config: Any
) -> None:
    said = schedule("add", "Disk space", "--command", "df -h", *arguments, "--group", "web")
    assert said.code == 0, said.err
    task = ScheduledTask.objects.get()
    assert task.recurrence_type == kind
    assert {name: task.recurrence_config.get(name) for name in config} == config


def test_the_task_of_the_manual_is_planned(schedule: Schedule, web_group: DeviceGroup) -> None:
    said = schedule(
        "add", "Disk space", "--command", "df -h", "--daily", "02:00", "--zone", "Europe/Berlin",
        "--group", "web",
    )  # fmt: skip
    task = ScheduledTask.objects.get()
    assert task.group_ids == [str(web_group.pk)]
    assert task.next_run_time is not None
    assert task.periodic_task is not None
    assert str(task.pk) in said.out
    assert task.schedule_text in said.out


def test_every_option_reaches_its_field(
    schedule: Schedule, web_device: Device, web_group: DeviceGroup
) -> None:
    said = schedule(
        "add", "Everything", "--command", "true", "--command", "df -h", "--shell", "bash",
        "--env", "A=1", "--env", "B=x=y", "--daily", "02:00", "--device", "web-1",
        "--group", web_group.pk, "--timeout", "10m", "--tag", "disk", "--tag", "nightly",
        "--description", "What is left", "--offline-policy", "skip", "--overlap-policy", "allow",
        "--misfire-policy", "run_all", "--zone", "Europe/Berlin", "--start-at", "2098-07-01T00:00",
        "--end-at", "2099-01-01T00:00:00Z", "--max-runs", "7",
        "--set", 'rollout={"strategy": "canary"}', "--json",
    )  # fmt: skip
    assert said.code == 0, said.err
    task = said.json
    payload = task["task_payload"]
    assert payload["commands"] == ["true", "df -h"]
    assert (payload["shell"], payload["environment"]) == ("bash", {"A": "1", "B": "x=y"})
    assert (task["device_ids"], task["group_ids"]) == ([str(web_device.pk)], [str(web_group.pk)])
    assert (task["timeout_seconds"], task["max_runs"]) == (600, 7)
    assert (task["tags"], task["description"]) == (["disk", "nightly"], "What is left")
    policies = (task["offline_policy"], task["overlap_policy"], task["misfire_policy"])
    assert policies == ("skip", "allow", "run_all")
    # A wall time is one of the zone; one with an offset is what it says.
    assert task["start_at"] == "2098-06-30T22:00:00Z"
    assert task["end_at"] == "2099-01-01T00:00:00Z"
    assert task["rollout"]["strategy"] == "canary"


def test_what_is_left_out_gets_the_defaults_of_every_door(
    schedule: Schedule, admin: User, web_device: Device
) -> None:
    schedule("add", "Plain", "--command", "df -h", "--daily", "02:00", "--device", "web-1")
    by_cli = ScheduledTask.objects.get()
    by_verb = factories.task(admin, devices=[web_device])
    for name in ("offline_policy", "overlap_policy", "timeout_seconds", "rollout", "time_zone"):
        assert getattr(by_cli, name) == getattr(by_verb, name)


def test_every_wrong_field_is_named_and_nothing_is_made(
    schedule: Schedule, web_group: DeviceGroup
) -> None:
    said = schedule(
        "add", " ", "--command", "df -h", "--monthly", "32@02:00", "--zone", "Mars/Olympus",
        "--group", "web", "--timeout", "2d", "--set", "colour=1",
    )  # fmt: skip
    assert said.code == 2
    named = {line.partition(":")[0] for line in said.err.splitlines()}
    assert named >= {"name", "time_zone", "timeout_seconds", "colour"}
    assert said.out == ""
    assert not ScheduledTask.objects.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--daily", "25:00"],
        ["--every", "soon"],
        ["--weekly", "noday"],
        ["--monthly", "5tue"],
        ["--once", "tomorrow"],
        ["--daily", "02:00", "--cron", "* * * * *"],
        [],
    ],
)
def test_what_is_no_time_is_refused_before_anything_else(
    schedule: Schedule, web_group: DeviceGroup, arguments: list[str]
) -> None:
    with pytest.raises(CommandError):
        schedule("add", "Wrong", "--command", "df", "--group", "web", *arguments)
    assert not ScheduledTask.objects.exists()


def test_an_ambiguous_device_is_an_error_that_lists_the_ids(schedule: Schedule) -> None:
    twins = [factories.device("twin"), factories.device("twin")]
    said = schedule("add", "T", "--command", "df", "--daily", "02:00", "--device", "twin")
    assert said.code == 2
    assert said.err.startswith("device_ids: ")
    assert all(str(one.pk) in said.err for one in twins)


def test_every_unknown_target_is_named_at_once(schedule: Schedule) -> None:
    said = schedule(
        "add", "T", "--command", "df", "--daily", "02:00", "--device", "nowhere", "--group", "none"
    )
    assert said.code == 2
    assert "device_ids: There is no device “nowhere”." in said.err
    assert "group_ids: There is no group “none”." in said.err


def test_people_add_only_to_what_they_see(
    schedule: Schedule, operator: User, outsider: User, web_group: DeviceGroup
) -> None:
    line = ("add", "T", "--command", "df", "--daily", "02:00", "--group", "web", "--user")
    assert schedule(*line, "outsider").code == 2
    assert schedule(*line, "operator").code == 0
    assert ScheduledTask.objects.get().user == operator


def test_a_payload_comes_from_a_file(
    schedule: Schedule, web_group: DeviceGroup, tmp_path: Path
) -> None:
    path = tmp_path / "payload.json"
    path.write_text(json.dumps({"command": "uptime", "working_directory": "/tmp"}))
    said = schedule(
        "add", "T", "--payload-file", path, "--daily", "02:00", "--group", "web", "--json"
    )
    assert said.json["task_payload"]["working_directory"] == "/tmp"


def test_a_payload_comes_from_standard_input(
    schedule: Schedule, web_group: DeviceGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"command": "uptime"}')))
    schedule("add", "T", "--payload-file", "-", "--daily", "02:00", "--group", "web")
    assert ScheduledTask.objects.get().task_payload["command"] == "uptime"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--payload-file", "/nowhere/at/all"],
        ["--payload-file", __file__],
        ["--payload-file", __file__, "--command", "df"],
        [],
    ],
)
def test_a_payload_that_cannot_be_had_is_said(
    schedule: Schedule, web_group: DeviceGroup, arguments: list[str]
) -> None:
    said = schedule("add", "T", "--daily", "02:00", "--group", "web", *arguments)
    assert said.code == 2
    assert said.err.startswith("task_payload: ")
    assert not ScheduledTask.objects.exists()
