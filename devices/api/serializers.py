"""What the API answers."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from rest_framework import serializers

from devices.models import Device, DeviceGroup, EnrollmentToken


class DeviceSerializer(serializers.ModelSerializer[Device]):
    status = serializers.ChoiceField(Device.Status.choices)
    tags = serializers.DictField(child=serializers.CharField())
    facts = serializers.DictField()
    group_ids = serializers.ListField(
        child=serializers.UUIDField(), help_text="Of the groups this person sees."
    )

    class Meta:
        model = Device
        fields: ClassVar = (
            "id", "name", "hostname", "os", "architecture", "agent_version", "status",
            "last_seen_at", "tags", "facts", "group_ids", "enrolled_at",
        )  # fmt: skip
        read_only_fields: ClassVar = fields


class GroupSerializer(serializers.ModelSerializer[DeviceGroup]):
    device_ids = serializers.SerializerMethodField(help_text="Of a static group.")
    query = serializers.SerializerMethodField(help_text="Null for a static group.")
    device_count = serializers.IntegerField()
    people = serializers.ListField(
        child=serializers.IntegerField(), source="people_ids", help_text="Who may use it."
    )

    class Meta:
        model = DeviceGroup
        fields: ClassVar = (
            "id", "name", "description", "kind", "device_ids", "query", "device_count", "people",
        )  # fmt: skip
        read_only_fields: ClassVar = fields

    def get_device_ids(self, group: Any) -> list[UUID]:
        return [] if group.query else list(group.member_ids)

    def get_query(self, group: DeviceGroup) -> str | None:
        return group.query or None


class FoundDeviceSerializer(serializers.ModelSerializer[Device]):
    class Meta:
        model = Device
        fields: ClassVar = ("id", "name")
        read_only_fields: ClassVar = fields


class QueryPreviewSerializer(serializers.Serializer[Any]):
    device_count = serializers.IntegerField()
    devices = FoundDeviceSerializer(many=True, help_text="The first few, by name.")


class EnrollmentTokenSerializer(serializers.ModelSerializer[EnrollmentToken]):
    group_id = serializers.UUIDField(allow_null=True)
    user_id = serializers.IntegerField(source="created_by_id", allow_null=True)
    status = serializers.ChoiceField(EnrollmentToken.Status.choices)

    class Meta:
        model = EnrollmentToken
        fields: ClassVar[Any] = (
            "id", "name", "group_id", "uses_limit", "uses_count", "status", "user_id",
            "created_at", "expires_at", "revoked_at",
        )  # fmt: skip
        read_only_fields: ClassVar[Any] = fields


class IssuedEnrollmentTokenSerializer(EnrollmentTokenSerializer):
    """The one answer that holds the token itself."""

    token = serializers.SerializerMethodField()

    class Meta(EnrollmentTokenSerializer.Meta):
        fields: ClassVar[Any] = (*EnrollmentTokenSerializer.Meta.fields, "token")
        read_only_fields: ClassVar[Any] = fields

    def get_token(self, issued: EnrollmentToken) -> str:
        text: Any = self.context["token"]
        return str(text)
