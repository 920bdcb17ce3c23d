from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.running import BY_HAND, RunningSystem, running_system

SOON = timedelta(seconds=15)
"""What is due after it lies in the future still when a busy machine has made the task."""


@pytest.fixture(scope="session")
def system() -> Iterator[RunningSystem]:
    """One system for all tests of this folder that do not break it for good."""
    with running_system() as system:
        yield system


def once_in(seconds: float) -> dict[str, Any]:
    """The recurrence of a task that is due so many seconds from now."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return {"recurrence_type": "once", "recurrence_config": {"run_at": moment.isoformat()}}


def command(
    system: RunningSystem, line: str, *, is_due_soon: bool = False, **fields: Any
) -> dict[str, Any]:
    """A task's input: this command on the local device, by hand unless it is due soon or `fields`
    say when."""
    if "device_ids" not in fields:
        fields["device_ids"] = [system.device()["id"]]
    return {
        "name": "A test's",
        "task_type": "command",
        "command_payload": {"command": line},
        **(once_in(SOON.total_seconds()) if is_due_soon else BY_HAND),
        **fields,
    }
