from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Count
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.administration import (
    ReadOnlyAdmin,
    VisibleAdmin,
    for_each,
    link_to,
    link_to_list,
    person,
    pretty,
)
from devices import enrollment, fleet, groups
from devices.agent import protocol
from devices.models import (
    AgentRelease,
    AgentUpdate,
    Device,
    DeviceGroup,
    EnrollmentToken,
    Installation,
    InstalledSoftware,
    ServerKey,
)

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.forms import ModelForm
    from django.http import HttpRequest
    from django.utils.safestring import SafeString


@admin.register(Device)
class DeviceAdmin(VisibleAdmin):
    """Devices enrol by themselves; people name, tag, revoke and delete them."""

    list_display = ("name", "state", "os", "architecture", "agent_version", "last_seen_at")
    list_filter = ("is_online", "os", "architecture", "in_recovery", "enrolled_at", "revoked_at")
    search_fields = ("name", "hostname")
    fields = (
        "name", "tags", "state", "hostname", "os", "architecture", "agent_version", "enrolled_at",
        "last_seen_at", "revoked_at", "contested_at", "in_recovery", "in_groups", "its_software",
        "all_facts",
    )  # fmt: skip
    readonly_fields = fields[2:]
    actions = ("revoke",)

    @admin.display(description=gettext_lazy("Status"))
    def state(self, device: Device) -> str:
        return str(device.status.label)

    @admin.display(description=gettext_lazy("Groups"))
    def in_groups(self, device: Device) -> SafeString:
        number = device.groups.count()
        return link_to_list(DeviceGroup, number, devices__id__exact=device.pk)

    @admin.display(description=gettext_lazy("Software"))
    def its_software(self, device: Device) -> SafeString:
        number = device.software.count()
        return link_to_list(InstalledSoftware, number, device__id__exact=device.pk)

    @admin.display(description=gettext_lazy("Facts"))
    def all_facts(self, device: Device) -> SafeString:
        return pretty(device.facts)

    @admin.action(description=gettext_lazy("Revoke"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        verb = partial(fleet.revoke, user=person(request))
        for_each(request, queryset, verb, _("%s devices are revoked."))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup == "groups__id__exact" or super().lookup_allowed(lookup, value, request)

    def save_model(
        self, request: HttpRequest, obj: Device, form: ModelForm[Device], change: bool
    ) -> None:
        changed = {name: form.cleaned_data[name] for name in form.changed_data}
        fleet.describe(obj, person(request), changed)

    def delete_model(self, request: HttpRequest, obj: Device) -> None:
        fleet.delete(obj, person(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        for device in queryset:
            fleet.delete(device, person(request))


@admin.register(DeviceGroup)
class DeviceGroupAdmin(VisibleAdmin):
    list_display = ("name", "kind", "devices_in_it", "created_at")
    list_filter = ("kind", "created_at")
    search_fields = ("name", "description")
    # Ids, not names: a page that offered every device of the fleet would never end.
    fields = ("name", "description", "kind", "devices", "people", "created_at")
    readonly_fields = ("created_at",)
    raw_id_fields = ("devices",)
    autocomplete_fields = ("people",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeviceGroup]:
        found: QuerySet[DeviceGroup] = super().get_queryset(request)
        return found.annotate(size=Count("devices"))

    @admin.display(description=gettext_lazy("Devices"), ordering="size")
    def devices_in_it(self, group: Any) -> SafeString:
        return link_to_list(Device, group.size, groups__id__exact=group.pk)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup == "devices__id__exact" or super().lookup_allowed(lookup, value, request)

    def save_model(
        self, request: HttpRequest, obj: DeviceGroup, form: ModelForm[DeviceGroup], change: bool
    ) -> None:
        data = {
            **{name: form.cleaned_data[name] for name in ("name", "description", "kind")},
            "device_ids": [str(device.pk) for device in form.cleaned_data["devices"]],
            "people": [one.pk for one in form.cleaned_data["people"]],
        }
        user = person(request)
        if change:
            groups.update(obj, user, data, partial=True)
        else:
            obj.pk = groups.create(user, data).pk

    def save_related(self, *args: Any) -> None:
        """The verbs have written members and people."""

    def delete_model(self, request: HttpRequest, obj: DeviceGroup) -> None:
        groups.delete(obj, person(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[DeviceGroup]) -> None:
        for group in queryset:
            groups.delete(group, person(request))


@admin.register(EnrollmentToken)
class EnrollmentTokenAdmin(ReadOnlyAdmin):
    """Tokens are issued where their text can be shown once: pages, API, `enroll-token add`."""

    list_display = ("__str__", "state", "group", "uses_count", "uses_limit", "expires_at")
    list_filter = ("created_at", "expires_at", "revoked_at")
    list_select_related = ("group",)
    search_fields = ("name", "group__name", "created_by__username")
    fields = (
        "name", "state", "group", "uses_count", "uses_limit", "created_by", "created_at",
        "expires_at", "revoked_at",
    )  # fmt: skip
    readonly_fields = fields
    actions = ("revoke",)

    @admin.display(description=gettext_lazy("Status"))
    def state(self, token: EnrollmentToken) -> str:
        return str(token.status.label)

    @admin.action(description=gettext_lazy("Revoke"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[EnrollmentToken]) -> None:
        verb = partial(enrollment.revoke, user=person(request))
        for_each(request, queryset, verb, _("%s tokens are revoked."))

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("devices.change_enrollmenttoken")


@admin.register(Installation)
class InstallationAdmin(ReadOnlyAdmin):
    list_display = ("server_id", "created_at")
    fields = ("server_id", "created_at")
    readonly_fields = fields


@admin.register(ServerKey)
class ServerKeyAdmin(ReadOnlyAdmin):
    """The public halves of the signing keys, by the fingerprint people compare."""

    list_display = ("key_id", "fingerprint", "created_at", "retired_at")
    list_filter = ("created_at", "retired_at")
    search_fields = ("key_id",)
    fields = ("key_id", "fingerprint", "previous", "created_at", "retired_at")
    readonly_fields = fields

    @admin.display(description=gettext_lazy("Fingerprint"))
    def fingerprint(self, key: ServerKey) -> str:
        return protocol.fingerprint(bytes(key.public_key))


@admin.register(InstalledSoftware)
class InstalledSoftwareAdmin(ReadOnlyAdmin):
    list_display = ("name", "version", "device", "seen_at")
    list_select_related = ("device",)
    list_filter = ("seen_at",)
    search_fields = ("name", "version", "device__name")
    fields = ("name", "version", "device_link", "catalogue_id", "seen_at")
    readonly_fields = fields

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup == "device__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(description=gettext_lazy("Device"))
    def device_link(self, row: InstalledSoftware) -> SafeString | str:
        return link_to(row.device)


@admin.register(AgentRelease)
class AgentReleaseAdmin(ReadOnlyAdmin):
    """The agents' wheels that were signed; the signed terms are the devices' to judge."""

    list_display = ("version", "sha256", "key_id", "signed_at")
    search_fields = ("version", "sha256__startswith")
    fields = ("version", "sha256", "key_id", "signed_at")
    readonly_fields = fields


@admin.register(AgentUpdate)
class AgentUpdateAdmin(ReadOnlyAdmin):
    list_display = ("device", "version", "status", "asked_at", "asked_by", "ended_at", "message")
    list_select_related = ("device", "asked_by")
    list_filter = ("status", "asked_at")
    search_fields = ("device__name", "version")
    fields = (
        "device_link", "version", "sha256", "status", "asked_at", "asked_by", "offered_at",
        "offers", "ended_at", "message",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=gettext_lazy("Device"))
    def device_link(self, update: AgentUpdate) -> SafeString | str:
        return link_to(update.device)
