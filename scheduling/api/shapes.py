"""The JSON inside a task, described for OpenAPI; what is accepted is decided by the verbs."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from devices.agent import kinds
from scheduling.models import ScheduledTask, TaskDependency
from scheduling.options import STRATEGIES, Rollout

_ROLLOUT = Rollout()
_CLOCK = {"type": "string", "examples": ["02:00"]}
_EVERY = {"type": "integer", "minimum": 1, "default": 1}


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


def _integer(low: int, high: int, **more: Any) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high, **more}


RECURRENCE_CONFIG = {
    "description": "By recurrence_type: once, interval, daily, weekly, monthly (twice), custom.",
    "anyOf": [
        _object("run_at", run_at={"type": ["string", "null"], "examples": ["2027-01-31T02:00"]}),
        _object(
            "every",
            "unit",
            every={"type": "integer", "minimum": 1},
            unit={"enum": ["seconds", "minutes", "hours", "days", "weeks"]},
        ),
        _object("time", time=_CLOCK, every=_EVERY),
        _object(
            "time",
            "days_of_week",
            time=_CLOCK,
            days_of_week={"type": "array", "items": _integer(0, 6), "minItems": 1},
            every=_EVERY,
        ),
        _object(
            "time",
            "day_of_month",
            time=_CLOCK,
            day_of_month=_integer(-1, 31),
            missing_day={"enum": ["skip", "last"], "default": "skip"},
            every=_EVERY,
        ),
        _object(
            "time",
            "nth",
            "weekday",
            time=_CLOCK,
            nth=_integer(-1, 4),
            weekday=_integer(0, 6),
            every=_EVERY,
        ),
        _object(
            "cron_expression",
            cron_expression={"type": "string", "examples": ["*/15 8-18 * * 1-5"]},
        ),
    ],
}
_AMOUNT = {
    "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[0-9]{1,3}%$"}]
}
ROLLOUT = _object(
    strategy={"type": "string", "enum": list(STRATEGIES), "default": _ROLLOUT.strategy},
    max_concurrent=_integer(1, 50_000, default=_ROLLOUT.max_concurrent),
    batch_size=_AMOUNT,
    canary_size=_AMOUNT,
    soak_seconds=_integer(0, 86_400, default=_ROLLOUT.soak_seconds),
    abort_after_failures={"anyOf": [*_AMOUNT["anyOf"], {"type": "null"}]},
    success_threshold_percent=_integer(0, 100, default=_ROLLOUT.success_threshold_percent),
)
RETRY = _object(
    max_attempts=_integer(1, 20, default=1),
    backoff_seconds=_integer(0, 86_400, default=30),
    backoff_multiplier={"type": "number", "minimum": 1, "maximum": 10, "default": 2.0},
    on_exit_codes={"type": "array", "items": {"type": "integer"}},
)


@extend_schema_field(RECURRENCE_CONFIG)
class RecurrenceConfigField(serializers.JSONField):
    pass


@extend_schema_field({"anyOf": [kind.schema() for kind in kinds.every()]})
class PayloadField(serializers.JSONField):
    """A payload of any kind."""


@extend_schema_field(ROLLOUT)
class RolloutField(serializers.JSONField):
    pass


@extend_schema_field(RETRY)
class RetryField(serializers.JSONField):
    pass


class DependencySerializer(serializers.ModelSerializer[TaskDependency]):
    task_id = serializers.UUIDField(source="parent_id")

    class Meta:
        model = TaskDependency
        fields = ("task_id", "on")


def payload_fields() -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    """A field for each kind's own name of its payload."""
    return {kind.payload_field: _payload_field(kind) for kind in kinds.every()}


def _payload_field(kind: kinds.Kind) -> serializers.Field[Any, Any, Any, Any]:
    field_class = type(f"{kind.name.title()}PayloadField", (serializers.JSONField,), {})
    described = extend_schema_field(kind.schema())(field_class)
    field: serializers.Field[Any, Any, Any, Any] = described(required=False)
    return field


def choices(words: type[Any]) -> list[tuple[str, str]]:
    return list(words.choices)


RECURRENCE_TYPES = choices(ScheduledTask.RecurrenceType)
