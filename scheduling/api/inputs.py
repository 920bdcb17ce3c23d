"""What the API takes, for OpenAPI alone: the verbs check it, in one place for every door."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from devices.agent import kinds
from scheduling.api import shapes
from scheduling.models import DeviceRun, ScheduledTask

_DAY = 86_400


class TargetsInput(serializers.Serializer[Any]):
    device_ids = serializers.ListField(
        child=serializers.UUIDField(), max_length=10_000, required=False
    )
    group_ids = serializers.ListField(child=serializers.UUIDField(), max_length=100, required=False)


class WorkInput(TargetsInput):
    """A task without its recurrence."""

    name = serializers.CharField(max_length=200)
    description = serializers.CharField(max_length=10_000, required=False, allow_blank=True)
    tags = serializers.ListField(
        child=serializers.CharField(max_length=50), max_length=50, required=False
    )
    task_type = serializers.ChoiceField(kinds.choices())
    task_payload = shapes.PayloadField(
        required=False, help_text="Or under the name of its kind; one of them is required."
    )
    offline_policy = serializers.ChoiceField(ScheduledTask.OfflinePolicy.choices, default="queue")
    expires_after_seconds = serializers.IntegerField(min_value=1, max_value=30 * _DAY, default=_DAY)
    timeout_seconds = serializers.IntegerField(min_value=1, max_value=_DAY, default=3_600)
    rollout = shapes.RolloutField(required=False)
    retry = shapes.RetryField(required=False)

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), **shapes.payload_fields()}


class RecurrenceInput(serializers.Serializer[Any]):
    """When a task runs."""

    recurrence_type = serializers.ChoiceField(ScheduledTask.RecurrenceType.choices)
    recurrence_config = shapes.RecurrenceConfigField()
    time_zone = serializers.CharField(default="UTC", help_text="A name such as Europe/Berlin.")
    start_at = serializers.DateTimeField(required=False, allow_null=True)
    end_at = serializers.DateTimeField(required=False, allow_null=True)
    jitter_seconds = serializers.IntegerField(min_value=0, max_value=7 * _DAY, default=0)
    excluded_dates = serializers.ListField(
        child=serializers.DateField(), max_length=366, required=False
    )


class TaskInput(WorkInput, RecurrenceInput):
    """A task. Fields that are read-only are ignored, so what GET answered may be put back."""

    max_runs = serializers.IntegerField(min_value=1, required=False, allow_null=True)
    depends_on = shapes.DependencySerializer(many=True, required=False)
    misfire_policy = serializers.ChoiceField(
        ScheduledTask.MisfirePolicy.choices, default="run_latest"
    )
    misfire_grace_seconds = serializers.IntegerField(min_value=0, max_value=7 * _DAY, default=300)
    overlap_policy = serializers.ChoiceField(ScheduledTask.OverlapPolicy.choices, default="skip")
    user_id = serializers.IntegerField(
        required=False, help_text="The owner; an administrator may hand a task over."
    )


class PreviewInput(RecurrenceInput):
    after = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Exclusive; default now."
    )
    count = serializers.IntegerField(min_value=1, max_value=100, default=10)


class CancelInput(serializers.Serializer[Any]):
    wave = serializers.IntegerField(min_value=1, required=False, help_text="This wave alone.")


class RetryInput(serializers.Serializer[Any]):
    statuses = serializers.ListField(
        child=serializers.ChoiceField(
            [one for one in DeviceRun.Status.choices if one[0] not in DeviceRun.UNENDED]
        ),
        required=False,
        help_text="Default: every one that did not succeed; lost ones only when named.",
    )
