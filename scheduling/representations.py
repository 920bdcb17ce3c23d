"""Tasks, executions and runs as JSON, in the names of the API, for doors without a serializer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from scheduling import progress, waiting
from scheduling.models import DeviceRun, Execution, ScheduledTask

_TASK = (
    "name", "description", "tags", "task_type", "status", "recurrence_type", "recurrence_config",
    "time_zone", "last_execution_status", "execution_count", "device_ids", "group_ids",
    "task_payload", "ad_hoc", "max_runs", "jitter_seconds", "excluded_dates", "misfire_policy",
    "misfire_grace_seconds", "overlap_policy", "offline_policy", "expires_after_seconds",
    "rollout", "retry", "timeout_seconds",
)  # fmt: skip
_TASK_INSTANTS = (
    "next_run_time", "last_run_time", "start_at", "end_at", "created_at", "updated_at",
)  # fmt: skip
_EXECUTION = ("task_name", "user_id", "trigger", "status", "result", "error_message")
_EXECUTION_INSTANTS = ("scheduled_for", "created_at", "started_at", "completed_at")
_RUN = (
    "device_name", "status", "was_lost", "attempt", "wave", "exit_code", "error_message", "detail",
    "output_bytes", "output_truncated",
)  # fmt: skip
_RUN_INSTANTS = ("queued_at", "started_at", "finished_at")


def task(one: ScheduledTask) -> dict[str, Any]:
    return {
        "id": str(one.pk),
        "user_id": one.user_id,
        **{name: getattr(one, name) for name in _TASK},
        "last_execution_status": one.last_execution_status or None,
        "schedule_text": one.schedule_text,
        "depends_on": [
            {"task_id": str(link.parent_id), "on": link.on} for link in one.dependencies.all()
        ],
        **{name: instant(getattr(one, name)) for name in _TASK_INSTANTS},
    }


def executions(some: Iterable[Execution]) -> list[dict[str, Any]]:
    """Each with its result as it is now."""
    return [_execution(one) for one in progress.with_results(some)]


def _execution(one: Execution) -> dict[str, Any]:
    return {
        "id": str(one.pk),
        "task_id": _id(one.task_id),
        "caused_by": _id(one.caused_by_id),
        **{name: getattr(one, name) for name in _EXECUTION},
        **{name: instant(getattr(one, name)) for name in _EXECUTION_INSTANTS},
    }


def runs(some: Iterable[DeviceRun]) -> list[dict[str, Any]]:
    """The runs come with `execution` and `device` selected."""
    rows = list(some)
    waiting.explain(rows)
    return [_run(one) for one in rows]


def _run(one: DeviceRun) -> dict[str, Any]:
    return {
        "id": str(one.pk),
        "execution_id": str(one.execution_id),
        "device_id": _id(one.device_id),
        "rolls_back": _id(one.rolls_back_id),
        "waiting_for": one.waiting_for,  # type: ignore[attr-defined]
        "waiting_since": instant(one.waiting_since),  # type: ignore[attr-defined]
        **{name: getattr(one, name) for name in _RUN},
        **{name: instant(getattr(one, name)) for name in _RUN_INSTANTS},
    }


def instant(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None


def _id(value: object) -> str | None:
    return str(value) if value is not None else None
