"""What is exported and imported again is the same."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from devices.models import Device, DeviceGroup
from scheduling import schedules
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from scheduling.tests.porting.given import actions, definition, exported, imported

EVERYTHING: dict[str, Any] = {
    "name": "Everything “there is”",
    "description": "Two lines:\n  the second.\n",
    "tags": ["web", "on", "0644"],
    "task_payload": {
        "commands": ["set -e\ndf -h\n", "echo 'a: b' # no comment"],
        "shell": "bash",
        "stop_on_failure": False,
        "working_directory": "/srv/a b",
        "environment": {"NO": "off", "MODE": "0644", "AT": "12:30", "EMPTY": "", "TABS": "\ta\r\n"},
        "run_as": "deploy",
        "success_exit_codes": [0, 3],
        "rollback_command": "true",
    },
    "recurrence_type": "custom",
    "recurrence_config": {"cron_expression": "*/15 8-18 * * 1-5"},
    "time_zone": "Europe/Berlin",
    "start_at": "2083-01-01T00:00:00.250000Z",
    "end_at": "2084-01-01T00:00:00Z",
    "max_runs": 7,
    "jitter_seconds": 30,
    "excluded_dates": ["2083-12-24", "2083-12-25"],
    "misfire_policy": "run_all",
    "misfire_grace_seconds": 60,
    "overlap_policy": "queue_one",
    "offline_policy": "skip",
    "expires_after_seconds": 7_200,
    "timeout_seconds": 120,
    "rollout": {
        "strategy": "transactional",
        "max_concurrent": 5,
        "batch_size": 3,
        "canary_size": "7%",
        "soak_seconds": 9,
        "abort_after_failures": "10%",
        "success_threshold_percent": 90,
    },
    "retry": {
        "max_attempts": 3,
        "backoff_seconds": 5,
        "backoff_multiplier": 1.5,
        "on_exit_codes": [1, 2],
    },
}


def wipe() -> None:
    for task in ScheduledTask.objects.all():
        schedules.delete(task, task.user)


def there_and_back(user: User) -> None:
    """Exports every task, imports the file on a system without any, and compares."""
    tasks = list(ScheduledTask.objects.order_by("pk"))
    before = [definition(task) for task in tasks]
    document = exported(*tasks, user=user)
    assert set(actions(document, user)) == {"keep"}
    wipe()
    imported(document, user)
    assert [definition(task) for task in ScheduledTask.objects.order_by("pk")] == before


def test_every_field_comes_back(
    admin: User, operator: User, web_group: DeviceGroup, web_device: Device
) -> None:
    first = factories.task(operator, name="First", groups=[web_group])
    depends_on = [{"task_id": str(first.pk), "on": "failure"}]
    task = factories.task(
        operator, groups=[web_group], devices=[web_device], depends_on=depends_on, **EVERYTHING
    )
    plain = {
        name for name in definition(first) if definition(first)[name] == definition(task)[name]
    }
    assert plain <= {"task_type", "group_ids", "user", "is_paused"}
    there_and_back(admin)


def test_every_type_of_recurrence_comes_back(admin: User) -> None:
    for kind, config in [
        ("once", {"run_at": "2099-01-31T02:00"}),
        ("once", {"run_at": "2099-01-31T02:00:00+02:00"}),
        ("once", {"run_at": None}),
        ("interval", {"every": 15, "unit": "minutes"}),
        ("daily", {"time": "02:00", "every": 3}),
        ("weekly", {"time": "12:30:15", "days_of_week": [0, 4], "every": 2}),
        ("monthly", {"time": "02:00", "day_of_month": 31, "missing_day": "last"}),
        ("monthly", {"time": "02:00", "nth": -1, "weekday": 1}),
        ("custom", {"cron_expression": "@daily"}),
    ]:
        factories.task(admin, name=kind, recurrence_type=kind, recurrence_config=config)
    there_and_back(admin)


def test_a_plan_is_the_same_afterwards(admin: User) -> None:
    """Every third day is counted from the day the task was made, not from that of the import."""
    task = factories.task(admin, recurrence_config={"time": "02:00", "every": 3})
    ScheduledTask.objects.filter(pk=task.pk).update(created_at=timezone.now() - timedelta(days=100))
    task.refresh_from_db()
    expected = task.rule.next_after(timezone.now())
    there_and_back(admin)
    assert expected is not None
    assert ScheduledTask.objects.get().next_scheduled_for == expected.at


def test_a_paused_task_comes_back_paused(admin: User) -> None:
    schedules.pause(factories.task(admin), admin)
    there_and_back(admin)
    assert ScheduledTask.objects.get().next_run_time is None


def test_a_task_whose_one_time_has_passed_comes_back_and_does_not_run(admin: User) -> None:
    task = factories.task(
        admin, recurrence_type="once", recurrence_config={"run_at": "2099-01-31T02:00"}
    )
    ScheduledTask.objects.filter(pk=task.pk).update(
        recurrence_config={"run_at": "2020-01-31T02:00"}
    )
    there_and_back(admin)
    assert ScheduledTask.objects.get().status == "completed"


def test_everybodys_tasks_come_back_to_their_owners(admin: User, task: ScheduledTask) -> None:
    factories.task(admin, name="Mine")
    there_and_back(admin)


def test_tasks_made_for_one_execution_alone_stay_out(
    schedule: Any, admin: User, web_device: Device
) -> None:
    ad_hoc = factories.definition(devices=[web_device])
    for name in ("recurrence_type", "recurrence_config"):
        del ad_hoc[name]
    schedules.execute_now(admin, ad_hoc)
    said = schedule("export", "--json")
    assert said.json == {"version": 1, "tasks": []}


names = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="\x85"),
    min_size=1,
    max_size=30,
).filter(lambda text: text.strip() == text)
words = st.sampled_from(
    ["on", "no", "12:30", "0644", "1e3", "~", "null", "2027-01-31", "- a", "a: b"]
)
lines = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60
) | st.text("ab \t\n#:-'\"\\|>&*!%{}[]", min_size=1, max_size=40)
commands = lines.filter(str.strip) | words
times = st.times().map(lambda time: f"{time:%H:%M}")
recurrences = st.one_of(
    st.builds(lambda at, n: ("daily", {"time": at, "every": n}), times, st.integers(1, 9)),
    st.builds(
        lambda at, days: ("weekly", {"time": at, "days_of_week": days}),
        times,
        st.lists(st.integers(0, 6), min_size=1, max_size=3),
    ),
    st.builds(
        lambda n, unit: ("interval", {"every": n, "unit": unit}),
        st.integers(10, 500),
        st.sampled_from(["seconds", "minutes", "hours", "days"]),
    ),
)
percents = st.integers(1, 100).map(lambda n: f"{n}%")
# Without a zone, as Hypothesis wants the limits.
FIRST, LAST = (datetime.fromisoformat(text) for text in ("2083-01-01", "2093-01-01"))
moments = st.datetimes(FIRST, LAST, timezones=st.just(UTC))


@st.composite
def inputs(draw: st.DrawFn) -> dict[str, Any]:
    kind, config = draw(recurrences)
    start, end = sorted(draw(st.tuples(moments, moments)))
    optional: dict[str, st.SearchStrategy[Any]] = {
        "description": lines.map(lambda text: re.sub(r"[\x00-\x1f\x7f]", "", text).strip()),
        "tags": st.lists(names | words, max_size=3, unique=True),
        "start_at": st.just(start),
        "end_at": st.just(end),
        "max_runs": st.none() | st.integers(1, 1_000),
        "excluded_dates": st.lists(st.dates().map(str), max_size=3),
        "timeout_seconds": st.integers(1, 86_400),
        "rollout": st.fixed_dictionaries(
            {}, optional={"batch_size": percents | st.integers(1, 50), "soak_seconds": st.just(0)}
        ),
        "retry": st.fixed_dictionaries(
            {}, optional={"backoff_multiplier": st.floats(1, 10) | st.integers(1, 10)}
        ),
    }
    payload = draw(
        st.fixed_dictionaries(
            {"commands": st.lists(commands, min_size=1, max_size=3)},
            optional={
                "environment": st.dictionaries(
                    st.sampled_from(["ON", "NO", "Y", "PATH_1"]), lines | words | st.just("")
                ),
                "stop_on_failure": st.booleans(),
            },
        )
    )
    return {
        "name": draw(names | words),
        "task_payload": payload,
        "recurrence_type": kind,
        "recurrence_config": config,
        "time_zone": draw(st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"])),
        **draw(st.fixed_dictionaries({}, optional=optional)),
    }


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    # Each example writes to a database: a failure is told as it was found.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(st.lists(inputs(), min_size=1, max_size=3))
def test_whatever_a_person_writes_comes_back(
    admin: User, web_device: Device, written: list[dict[str, Any]]
) -> None:
    wipe()
    for one in written:
        factories.task(admin, devices=[web_device], **one)
    there_and_back(admin)
