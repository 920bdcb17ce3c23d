"""Whatever JSON is sent, the answer is a result or a refusal, never an error of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from rest_framework.test import APIClient

from devices.models import Device, DeviceGroup
from scheduling import definitions, templates
from scheduling.catalogue import files
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories
from scheduling.tests.api.conftest import EXECUTIONS, TASKS, address

RULES = {
    "once": ("run_at",),
    "interval": ("every", "unit"),
    "daily": ("time", "every"),
    "weekly": ("time", "days_of_week", "every"),
    "monthly": ("time", "day_of_month", "nth", "weekday", "missing_day", "every"),
    "custom": ("cron_expression",),
}
text = some.text(max_size=30) | some.sampled_from(
    ["02:30", "2026-11-24T25:00", "0001-01-01T00:00Z", "9999-12-31T23:59:59-14:00", "101%", "@yearly",
     "* * * * *", "59 23 31 2 *", "UTC", "../UTC", "minutes", "Europe/Berlin", "command", "sh"]
)  # fmt: skip
scalar = (
    some.none()
    | some.booleans()
    | some.integers()
    | some.sampled_from([0, 1, -1, 31, 2**31, 2**63, 10**30])
    | some.floats(allow_nan=False, allow_infinity=False)
    | text
)
value = some.recursive(
    scalar, lambda inner: some.lists(inner, max_size=4) | some.dictionaries(text, inner, max_size=4)
)
rule: some.SearchStrategy[dict[str, Any]] = some.one_of(
    *(
        some.fixed_dictionaries(
            {
                "recurrence_type": some.just(kind),
                "recurrence_config": some.fixed_dictionaries(
                    {}, optional=dict.fromkeys(names, value)
                ),
            },
            optional={
                "time_zone": value,
                "start_at": value,
                "end_at": value,
                "excluded_dates": value,
            },
        )
        for kind, names in RULES.items()
    )
)
options = some.fixed_dictionaries({}, optional=dict.fromkeys(definitions.CHECKS, value))
payload = some.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ["command", "commands", "shell", "environment", "run_as", "success_exit_codes",
         "working_directory", "stop_on_failure", "rollback_command", "strategy"], value
    ),
)  # fmt: skip
REFUSED = 400
many = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@many
@given(changes=options | rule | some.fixed_dictionaries({"task_payload": payload}))
def test_of_a_new_task(api: APIClient, body: dict[str, Any], changes: dict[str, Any]) -> None:
    assert api.post(TASKS, body | changes).status_code in (201, REFUSED)


@many
@given(changes=options | rule)
def test_of_a_changed_task(api: APIClient, task: ScheduledTask, changes: dict[str, Any]) -> None:
    assert api.patch(address(task), changes).status_code in (200, REFUSED)


@many
@given(changes=options | some.fixed_dictionaries({"command_payload": payload}))
def test_of_execute_now(api: APIClient, body: dict[str, Any], changes: dict[str, Any]) -> None:
    assert api.post(EXECUTIONS, body | changes).status_code in (202, REFUSED)


@many
@given(asked=rule, more=some.fixed_dictionaries({}, optional={"after": value, "count": value}))
def test_of_a_preview(api: APIClient, asked: dict[str, Any], more: dict[str, Any]) -> None:
    answer = api.post("/api/schedule/preview", asked | more)
    assert answer.status_code in (200, REFUSED)


@many
@given(statuses=value, wave=value)
def test_of_retry_and_cancel(
    api: APIClient, execution: Execution, statuses: Any, wave: Any
) -> None:
    assert api.post(address(execution, "retry"), {"statuses": statuses}).status_code in (
        409,
        REFUSED,
    )
    assert api.post(address(execution, "cancel"), {"wave": wave}).status_code in (202, REFUSED)


@many
@given(parameters=some.dictionaries(
    some.sampled_from(
        ["status", "task_type", "device", "group", "tag", "search", "ordering", "page",
         "page_size", "cursor", "task", "trigger", "from", "to", "ad_hoc"]
    ),
    text,
    max_size=4,
))  # fmt: skip
@pytest.mark.parametrize("path", [TASKS, EXECUTIONS])
def test_of_a_lists_parameters(
    api: APIClient, task: ScheduledTask, execution: Execution, path: str, parameters: dict[str, str]
) -> None:
    assert api.get(path, parameters).status_code in (200, REFUSED, 404)


QUERIES = some.lists(
    some.sampled_from(
        ["os", "tag.2024", 'facts."9"', "software.x", "version", "name", "not", "and", "or", "(", ")",
         "in", "=", "!=", "<", ">=", "~", "1.0", "9" * 400, '"\\\\"', "'", ",", "."]
    ),
    max_size=8,
).map(" ".join)  # fmt: skip
# Of each door an input that is taken, of which one field after the other is given anything.
DEVICE: dict[str, Any] = {"name": "web-1", "tags": {}}
GROUP: dict[str, Any] = {
    "name": "all", "description": "", "kind": "dynamic", "device_ids": [], "people": [],
    "query": "os = linux",
}  # fmt: skip
SOFTWARE: dict[str, Any] = {
    "name": "Tool", "version": "1", "publisher": "", "category": "", "description": "",
    "requirements": {}, "dependency_ids": [],
    "sources": [{"os": "linux", "format": "apt", "package_name": "tool"}],
}  # fmt: skip
TEMPLATE: dict[str, Any] = {
    "name": "Disk", "description": "", "task_type": "command", "shared": False, "rollout": {},
    "command_payload": {"command": "df"}, "recurrence_type": "daily", "time_zone": "UTC",
    "recurrence_config": {"time": "02:00"}, "start_at": None, "excluded_dates": [], "tags": [],
}  # fmt: skip
INPUTS: list[tuple[str, str, dict[str, Any]]] = [
    ("patch", "devices/{device}", DEVICE),
    ("post", "groups", GROUP),
    ("patch", "groups/{group}", GROUP),
    ("post", "enrollment-tokens", {"name": "", "group_id": None, "uses_limit": 1, "expires_at": None}),
    ("post", "tokens", {"name": "a", "scopes": [], "expires_at": None}),
    ("post", "software", SOFTWARE),
    ("put", "software/{software}", SOFTWARE),
    ("patch", "files/{file}", {"name": "motd", "description": ""}),
    ("post", "templates", TEMPLATE),
    ("patch", "templates/{template}", TEMPLATE),
]  # fmt: skip


@pytest.fixture
def things(
    admin: User, web_device: Device, web_group: DeviceGroup, settings: Any, tmp_path: Path
) -> dict[str, Any]:
    settings.DEPLOYX_FILES_DIR = tmp_path
    local = {**settings.STORAGES["blobs"], "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = {**settings.STORAGES, "blobs": local}
    settings.DEPLOYX_FILES_FREE_BYTES = 0
    made = {
        "device": web_device,
        "group": web_group,
        "software": factories.software(admin),
        "file": files.create(admin, {"name": "motd"}, iter([b"x"]), 1),
        "template": templates.create(admin, {"name": "Disk", "task_type": "command"}),
    }
    return {name: one.pk for name, one in made.items()}


@many
@given(data=some.data())
@pytest.mark.parametrize(
    ("method", "path", "sound"), INPUTS, ids=[f"{m} {p}" for m, p, _ in INPUTS]
)
def test_of_every_other_door(
    admin_api: APIClient,
    things: dict[str, Any],
    method: str,
    path: str,
    sound: dict[str, Any],
    data: some.DataObject,
) -> None:
    changed = data.draw(some.dictionaries(some.sampled_from(sorted(sound)), value, max_size=2))
    answer = getattr(admin_api, method)(f"/api/{path.format(**things)}", sound | changed)
    assert answer.status_code in (200, 201, REFUSED)


@many
@given(query=QUERIES | text)
def test_of_a_query(admin_api: APIClient, query: str) -> None:
    answer = admin_api.post("/api/groups/preview", {"query": query})
    assert answer.status_code in (200, REFUSED)
