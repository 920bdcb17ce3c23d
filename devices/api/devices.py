"""`/api/devices`."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import person
from accounts.api.bodies import body
from accounts.api.doors import Door
from accounts.api.etags import tagged
from devices import agent_updates, fleet
from devices.api.filters import DeviceFilters
from devices.api.inputs import DeviceInput
from devices.api.serializers import DeviceSerializer
from devices.models import Device, DeviceGroup

READ_ONLY = [name for name in DeviceSerializer.Meta.fields if name not in fleet.CHECKS]


class DeviceDoor(Door):
    queryset = Device.objects.none()
    serializer_class = DeviceSerializer
    filterset_class = DeviceFilters
    scope_area = "devices"
    action_scopes: ClassVar = {}

    def visible(self) -> QuerySet[Device]:
        groups = DeviceGroup.objects.visible_to(person(self.request)).values("pk")
        memberships = Device.groups.through.objects.filter(
            device=OuterRef("pk"), devicegroup__in=groups
        )
        ids = memberships.order_by("devicegroup").values("devicegroup")
        devices: QuerySet[Device] = super().visible().annotate(group_ids=ArraySubquery(ids))
        return devices

    def list(self, request: Request) -> Response:
        """Devices this person may use, by name."""
        return self.page(self.visible())

    def retrieve(self, request: Request, pk: str) -> Response:
        return tagged(self.shown(self.one()))

    @extend_schema(request=DeviceInput)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Names and tags it."""
        given = body(request, read_only=READ_ONLY)
        return self.changed(lambda device: fleet.describe(device, person(request), given))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Revokes it and removes it from every list; its history stays under its name."""
        self.removed(lambda device: fleet.delete(device, person(request)))
        return Response(status=204)

    @extend_schema(request=None)
    def revoke(self, request: Request, pk: str) -> Response:
        """Ends its work for good and keeps it; 409 where that has happened already."""
        return self.changed(lambda device: fleet.revoke(device, person(request)))

    @extend_schema(request=None, responses={202: DeviceSerializer})
    def update_agent(self, request: Request, pk: str) -> Response:
        """Has its agent become the version this server serves, at the settings' pace; 409 where it
        is that already, or about to be."""
        device = self.one()
        agent_updates.ask_one(device, person(request))
        return Response(self.shown(device), status=202)
