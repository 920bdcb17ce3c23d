"""`/api/devices/{id}/software`: what runs found to be installed."""

from __future__ import annotations

from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import person
from accounts.api.doors import Door
from devices.api.filters import InstalledSoftwareFilters
from devices.models import Device, InstalledSoftware


class InstalledSoftwareSerializer(serializers.ModelSerializer[InstalledSoftware]):
    software_id = serializers.UUIDField(
        source="catalogue_id", allow_null=True, help_text="The entry it was deployed from."
    )

    class Meta:
        model = InstalledSoftware
        fields: ClassVar = ("name", "version", "software_id", "seen_at")
        read_only_fields: ClassVar = fields


class DeviceSoftware(Door):
    queryset = InstalledSoftware.objects.none()
    serializer_class = InstalledSoftwareSerializer
    filterset_class = InstalledSoftwareFilters
    scope_area = "devices"

    def list(self, request: Request, pk: Any) -> Response:
        """The versions that were there when a software deployment last looked."""
        device = get_object_or_404(Device.objects.visible_to(person(request)), pk=pk)
        return self.page(device.software.order_by("name"))
