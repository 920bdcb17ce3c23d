"""`/api/groups`."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, OuterRef, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import person
from accounts.api.bodies import body, only
from accounts.api.doors import Door
from accounts.api.etags import tagged
from accounts.api.idempotency import idempotent
from devices import groups
from devices.api.filters import GroupFilters
from devices.api.inputs import GroupInput, QueryInput
from devices.api.serializers import GroupSerializer, QueryPreviewSerializer
from devices.models import DeviceGroup

READ_ONLY = [name for name in GroupSerializer.Meta.fields if name not in groups.CHECKS]


class GroupDoor(Door):
    queryset = DeviceGroup.objects.none()
    serializer_class = GroupSerializer
    filterset_class = GroupFilters
    scope_area = "devices"

    def visible(self) -> QuerySet[DeviceGroup]:
        groups: QuerySet[DeviceGroup] = (
            super()
            .visible()
            .annotate(
                member_ids=_ids(DeviceGroup.devices.through, "device"),
                people_ids=_ids(DeviceGroup.people.through, "user"),
                device_count=Count("devices"),
            )
            # Said again: a query that counts has lost the model's own order.
            .order_by("name", "pk")
        )
        return groups

    def list(self, request: Request) -> Response:
        """Groups this person may use, by name."""
        return self.page(self.visible())

    def retrieve(self, request: Request, pk: str) -> Response:
        return tagged(self.shown(self.one()))

    @extend_schema(request=GroupInput, responses={201: GroupSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        group = groups.create(person(request), body(request, read_only=READ_ONLY))
        return tagged(self.shown(self.again(group)), status=201)

    @extend_schema(request=GroupInput)
    def update(self, request: Request, pk: str) -> Response:
        """What is left out gets its default."""
        return self._update(request, partial=False)

    @extend_schema(request=GroupInput)
    def partial_update(self, request: Request, pk: str) -> Response:
        """What is left out keeps its value."""
        return self._update(request, partial=True)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Removes it and takes it off every target list; its devices stay."""
        self.removed(lambda group: groups.delete(group, person(request)))
        return Response(status=204)

    @extend_schema(request=QueryInput, responses=QueryPreviewSerializer)
    def preview(self, request: Request) -> Response:
        """What a query finds now, among the devices this person may use."""
        found = groups.preview(person(request), only(request, "query"))
        return Response(QueryPreviewSerializer(found).data)

    def _update(self, request: Request, *, partial: bool) -> Response:
        given = body(request, read_only=READ_ONLY)
        user = person(request)
        return self.changed(lambda group: groups.update(group, user, given, partial=partial))


def _ids(through: Any, column: str) -> ArraySubquery:
    members = through.objects.filter(devicegroup=OuterRef("pk"))
    return ArraySubquery(members.order_by(column).values(column))
