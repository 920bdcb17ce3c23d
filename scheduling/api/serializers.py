"""What the API answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from devices.agent import kinds
from scheduling.api import shapes
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.waiting import WaitingFor


def _ids() -> serializers.ListField:
    return serializers.ListField(child=serializers.UUIDField())


def _texts() -> serializers.ListField:
    return serializers.ListField(child=serializers.CharField())


class TaskSerializer(serializers.ModelSerializer[ScheduledTask]):
    user_id = serializers.IntegerField()
    tags = _texts()
    task_type = serializers.ChoiceField(kinds.choices())
    recurrence_config = shapes.RecurrenceConfigField()
    schedule_text = serializers.CharField()
    last_execution_status = serializers.SerializerMethodField()
    device_ids = _ids()
    group_ids = _ids()
    task_payload = shapes.PayloadField()
    excluded_dates = serializers.ListField(child=serializers.DateField())
    depends_on = shapes.DependencySerializer(source="dependencies", many=True)
    rollout = shapes.RolloutField()
    retry = shapes.RetryField()

    class Meta:
        model = ScheduledTask
        fields: ClassVar = (
            "id", "user_id", "name", "description", "tags", "task_type", "status",
            "recurrence_type", "recurrence_config", "schedule_text", "time_zone", "next_run_time",
            "last_run_time", "last_execution_status", "execution_count", "device_ids", "group_ids",
            "task_payload", "ad_hoc", "start_at", "end_at", "max_runs", "jitter_seconds",
            "excluded_dates", "depends_on", "misfire_policy", "misfire_grace_seconds",
            "overlap_policy", "offline_policy", "expires_after_seconds", "rollout", "retry",
            "timeout_seconds", "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields: ClassVar = fields

    @extend_schema_field(serializers.ChoiceField(Execution.Status.choices, allow_null=True))
    def get_last_execution_status(self, task: ScheduledTask) -> str | None:
        return task.last_execution_status or None


class ResultSerializer(serializers.Serializer[Any]):
    """How many devices stand where."""

    devices_targeted = serializers.IntegerField()
    devices_succeeded = serializers.IntegerField()
    devices_failed = serializers.IntegerField()
    counts = serializers.DictField(child=serializers.IntegerField())


class ExecutionSerializer(serializers.ModelSerializer[Execution]):
    task_id = serializers.UUIDField(allow_null=True)
    user_id = serializers.IntegerField()
    caused_by = serializers.UUIDField(source="caused_by_id", allow_null=True)
    result = ResultSerializer()

    class Meta:
        model = Execution
        fields: ClassVar = (
            "id", "task_id", "task_name", "user_id", "trigger", "caused_by", "scheduled_for",
            "created_at", "started_at", "completed_at", "status", "result", "error_message",
        )  # fmt: skip
        read_only_fields: ClassVar = fields


class RunSerializer(serializers.ModelSerializer[DeviceRun]):
    execution_id = serializers.UUIDField()
    device_id = serializers.UUIDField(allow_null=True)
    waiting_for = serializers.ChoiceField(WaitingFor.choices, allow_null=True)
    waiting_since = serializers.DateTimeField(allow_null=True)
    rolls_back = serializers.UUIDField(source="rolls_back_id", allow_null=True)
    detail = serializers.DictField()
    output_bytes = serializers.IntegerField()

    class Meta:
        model = DeviceRun
        fields: ClassVar = (
            "id", "execution_id", "device_id", "device_name", "status", "was_lost", "waiting_for",
            "waiting_since", "attempt", "wave", "rolls_back", "queued_at", "started_at",
            "finished_at", "exit_code", "error_message", "detail", "output_bytes",
            "output_truncated",
        )  # fmt: skip
        read_only_fields: ClassVar = fields


class GapSerializer(serializers.Serializer[Any]):
    offset = serializers.IntegerField()
    bytes = serializers.IntegerField()


class OutputSerializer(serializers.Serializer[Any]):
    """A stretch of a run's output."""

    next_offset = serializers.IntegerField()
    finished = serializers.BooleanField()
    truncated = serializers.BooleanField()
    dropped_bytes = serializers.IntegerField()
    gaps = GapSerializer(many=True)
    text = serializers.CharField()


class UpcomingSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    task_type = serializers.ChoiceField(kinds.choices())
    next_run_time = serializers.DateTimeField()


class StatsSerializer(serializers.Serializer[Any]):
    total = serializers.IntegerField()
    pending = serializers.IntegerField()
    running = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    paused = serializers.IntegerField()
    upcoming = UpcomingSerializer(many=True)


class LocalTimeField(serializers.CharField):
    """What the clock shows there, with its offset."""

    def to_representation(self, value: Any) -> str:
        assert isinstance(value, datetime)
        return value.isoformat()


class OccurrenceSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    local = LocalTimeField()
    note = serializers.CharField(allow_null=True)


class PreviewSerializer(serializers.Serializer[Any]):
    text = serializers.CharField()
    runs = OccurrenceSerializer(many=True)
    warnings = _texts()
