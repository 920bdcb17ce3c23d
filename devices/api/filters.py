"""What lists of devices and groups may be narrowed by."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django_filters import rest_framework as filters

from accounts.api.authentication import person
from accounts.api.ordering import Ordering
from devices.models import Device, DeviceGroup, EnrollmentToken, InstalledSoftware

if TYPE_CHECKING:
    from devices.models.device import DeviceQuerySet


class DeviceFilters(filters.FilterSet):  # type: ignore[misc]
    status = filters.ChoiceFilter(choices=Device.Status.choices, method="by_status")
    os = filters.CharFilter(field_name="os", lookup_expr="iexact")
    tag = filters.CharFilter(method="by_tag", label="`name`, or `name=text`.")
    group = filters.UUIDFilter(method="by_group")
    search = filters.CharFilter(method="by_search", label="In name and host name.")
    ordering = Ordering(fields=("name", "hostname", "os", "last_seen_at", "enrolled_at"))

    class Meta:
        model = Device
        fields: tuple[str, ...] = ()

    def by_status(self, devices: DeviceQuerySet, name: str, status: str) -> DeviceQuerySet:
        return devices.with_status(status)

    def by_tag(self, devices: DeviceQuerySet, name: str, tag: str) -> DeviceQuerySet:
        return devices.tagged(tag)

    def by_group(self, devices: DeviceQuerySet, name: str, group: UUID) -> DeviceQuerySet:
        """In a group that is not theirs to see, a person finds nothing."""
        groups = DeviceGroup.objects.visible_to(person(self.request)).filter(pk=group)
        return devices.filter(groups__in=groups)

    def by_search(self, devices: DeviceQuerySet, name: str, search: str) -> DeviceQuerySet:
        return devices.found_by(search)


class GroupFilters(filters.FilterSet):  # type: ignore[misc]
    search = filters.CharFilter(field_name="name", lookup_expr="icontains", label="In the name.")
    ordering = Ordering(fields=("name", "device_count"))

    class Meta:
        model = DeviceGroup
        fields: tuple[str, ...] = ()


class EnrollmentTokenFilters(filters.FilterSet):  # type: ignore[misc]
    search = filters.CharFilter(field_name="name", lookup_expr="icontains", label="In the name.")
    ordering = Ordering(fields=("name", "uses_count", "created_at", "expires_at", "revoked_at"))

    class Meta:
        model = EnrollmentToken
        fields: tuple[str, ...] = ()


class InstalledSoftwareFilters(filters.FilterSet):  # type: ignore[misc]
    search = filters.CharFilter(field_name="name", lookup_expr="icontains", label="In the name.")
    ordering = Ordering(fields=("name", "version", "seen_at"))

    class Meta:
        model = InstalledSoftware
        fields: tuple[str, ...] = ()
