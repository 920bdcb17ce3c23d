"""What the API takes, for OpenAPI alone: the verbs check it, in one place for every door."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from devices.models import DeviceGroup


class DeviceInput(serializers.Serializer[Any]):
    """Fields that are read-only are ignored, so what GET answered may be sent back."""

    name = serializers.CharField(max_length=200)
    tags = serializers.DictField(
        child=serializers.CharField(max_length=200, allow_blank=True),
        help_text="All of them; what is left out is gone.",
    )


class GroupInput(serializers.Serializer[Any]):
    """A group; who is no administrator may change its devices alone."""

    name = serializers.CharField(max_length=100)
    description = serializers.CharField(max_length=2_000, required=False, allow_blank=True)
    kind = serializers.ChoiceField(DeviceGroup.Kind.choices, default=DeviceGroup.Kind.STATIC.value)
    device_ids = serializers.ListField(
        child=serializers.UUIDField(), max_length=10_000, required=False
    )
    query = serializers.CharField(
        max_length=2_000,
        required=False,
        allow_null=True,
        help_text="Of a dynamic group, such as `os = linux and tag.site = berlin`.",
    )
    people = serializers.ListField(
        child=serializers.IntegerField(min_value=1), required=False, help_text="Who may use it."
    )


class QueryInput(serializers.Serializer[Any]):
    query = serializers.CharField(max_length=2_000)


class EnrollmentTokenInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100, required=False, allow_blank=True)
    group_id = serializers.UUIDField(
        required=False, allow_null=True, help_text="What enrols with it joins this group."
    )
    uses_limit = serializers.IntegerField(min_value=1, max_value=100_000, default=1)
    expires_at = serializers.DateTimeField(required=False, help_text="Default: in 24 hours.")
