"""Whatever a document holds, it has a plan or is refused by name."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.contrib.auth.models import User
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from accounts.errors import InvalidInput
from devices.models import DeviceGroup
from scheduling.porting import apply
from scheduling.tests.porting.given import entry, planned

FIELDS = ("id", "owner", "created_at", "paused", "devices", "groups", "depends_on", "name", "task_type",
          "task_payload", "command_payload", "recurrence_type", "recurrence_config", "time_zone", "tags",
          "start_at", "end_at", "max_runs", "excluded_dates", "rollout", "retry", "timeout_seconds",
          "device_ids", "user_id", "")  # fmt: skip
words = some.sampled_from(
    ["web", "Disk space", "admin", "operator", "success", "UTC", "once", "2027-01-31T02:00",
     "0001-01-01T00:00Z", "9999-12-31T23:59:59-14:00", "01a21001-5f0c-7c8e-9d2b-6f0f3d1c7a55", "a\nb"]
) | some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)  # fmt: skip
scalars = (
    some.none()
    | some.booleans()
    | some.integers(-(10**18), 10**18)
    | some.floats(-1e9, 1e9)
    | words
)
keys = words | some.sampled_from(["id", "name", "on", "task_id", "task_name", "time", "run_at"])
values = some.recursive(
    scalars,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)
changes = some.dictionaries(some.sampled_from(FIELDS), values, max_size=3)


def given_document(entries: list[Any]) -> dict[str, Any]:
    return {"version": 1, "tasks": entries}


@settings(
    max_examples=75, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(some.lists(changes | values, max_size=3), some.booleans())
def test_any_entries_are_planned_and_carried_out_or_refused(
    admin: User, web_group: DeviceGroup, given: list[Any], prune: bool
) -> None:
    entries = [entry(web_group, **one) if isinstance(one, dict) else one for one in given]
    with suppress(InvalidInput):
        plan = planned(given_document(entries), admin, prune=prune)
        apply.carry_out(plan, admin)
        assert planned(given_document(entries), admin).does_nothing


@settings(
    max_examples=75, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values | some.fixed_dictionaries({"version": scalars, "tasks": values}))
def test_any_value_is_a_document_or_refused(operator: User, given: Any) -> None:
    with suppress(InvalidInput):
        planned(given, operator, prune=True)
