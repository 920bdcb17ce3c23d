"""Documents in few words."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from accounts.errors import InvalidInput
from devices.models import DeviceGroup
from scheduling import definitions
from scheduling.models import ScheduledTask
from scheduling.porting import apply, document, exporting, plan
from scheduling.porting.steps import Plan


def entry(group: DeviceGroup | None = None, **changes: Any) -> dict[str, Any]:
    """A valid entry: `echo hello`, daily at 02:00 UTC on the group."""
    return {
        "name": "Disk space",
        "task_type": "command",
        "task_payload": {"command": "echo hello"},
        "recurrence_type": "daily",
        "recurrence_config": {"time": "02:00"},
        "groups": [{"name": group.name}] if group else [],
        **changes,
    }


def of(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1, "tasks": list(entries)}


def exported(*tasks: ScheduledTask, user: User) -> Any:
    """What a file has of these tasks, read again."""
    text = document.write(exporting.document_of(tasks, user), comment="A comment")
    return document.read(text.encode())


def planned(given: object, user: User, *, prune: bool = False) -> Plan:
    return plan.of(given, user, now=timezone.now(), prune=prune)


def imported(given: object, user: User, *, prune: bool = False) -> list[ScheduledTask]:
    return apply.carry_out(planned(given, user, prune=prune), user)


def actions(given: object, user: User, *, prune: bool = False) -> list[str]:
    return [step.action for step in planned(given, user, prune=prune).steps]


def refusal(given: object, user: User, *, prune: bool = False) -> dict[str, list[str]]:
    """What is wrong, by entry and field."""
    with pytest.raises(InvalidInput) as refused:
        planned(given, user, prune=prune)
    return refused.value.errors


def definition(task: ScheduledTask) -> dict[str, Any]:
    """All that a person may write into a task, and what its plan is counted from."""
    task.refresh_from_db()
    return {
        **definitions.as_input(task),
        "id": task.pk,
        "user": task.user_id,
        "created_at": task.created_at,
        "is_paused": task.is_paused,
    }
