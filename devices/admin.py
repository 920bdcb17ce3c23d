from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Count
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.administration import (
    ReadOnlyAdmin,
    VisibleAdmin,
    for_each,
    for_person,
    link_to,
    link_to_list,
    one_of,
    person,
    pretty,
    refuse,
)
from accounts.errors import InvalidInput
from devices import enrollment, fleet, groups
from devices.agent import protocol
from devices.agent.software_formats import SYSTEMS
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
    from django.contrib.auth.models import User
    from django.db.models import QuerySet
    from django.forms import ModelForm
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

    GroupModelForm = forms.ModelForm[DeviceGroup]
else:
    GroupModelForm = forms.ModelForm


@admin.register(Device)
class DeviceAdmin(VisibleAdmin):
    """Devices enrol by themselves; people name, tag, revoke and delete them."""

    list_display = ("name", "state", "os", "architecture", "agent_version", "last_seen_at")
    list_filter = (
        "is_online", one_of("os", gettext_lazy("System"), lambda: SYSTEMS), "in_recovery",
        "enrolled_at", "revoked_at",
    )  # fmt: skip
    search_fields = ("name", "hostname", "os", "architecture")
    fields: ClassVar[tuple[str, ...]] = (
        "name", "tags", "state", "hostname", "os", "architecture", "agent_version", "enrolled_at",
        "last_seen_at", "revoked_at", "contested_at", "in_recovery", "in_groups", "its_software",
        "all_facts",
    )  # fmt: skip
    readonly_fields: ClassVar[tuple[str, ...]] = fields[2:]
    actions = ("revoke",)
    goes_with = (AgentUpdate, InstalledSoftware)

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


class GroupForm(GroupModelForm):
    """`person` is set by the admin, for each request. What the verbs would refuse is refused here."""

    person: ClassVar[User]

    def given(self) -> groups.Input:
        """The input of the verbs: a group has either devices or a query."""
        cleaned = dict(self.cleaned_data)
        cleaned["query"] = cleaned.get("query") or None
        if "people" in cleaned:
            cleaned["people"] = [one.pk for one in cleaned["people"]]
        devices = cleaned.pop("devices", None)
        if cleaned.get("kind") == DeviceGroup.Kind.DYNAMIC:
            cleaned["device_ids"] = []
        elif devices is not None:
            cleaned["device_ids"] = [str(device.pk) for device in devices]
        return cleaned

    def clean(self) -> None:
        super().clean()
        try:
            groups.check(self.instance, self.person, self.given())
        except InvalidInput as refusal:
            refuse(self, refusal)


@admin.register(DeviceGroup)
class DeviceGroupAdmin(VisibleAdmin):
    form = GroupForm
    list_display = ("name", "kind", "devices_in_it", "created_at")
    list_filter = ("kind", "created_at")
    search_fields = ("name", "description", "query")
    readonly_fields = ("devices_in_it", "created_at", "refreshed_at")
    # Ids, not names: a page that offered every device of the fleet would never end.
    raw_id_fields = ("devices",)
    autocomplete_fields = ("people",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The devices of a group by query follow from it."""
        devices = "devices_in_it" if obj is not None and obj.query else "devices"
        return (
            "name", "description", "kind", "query", devices, "people", "created_at", "refreshed_at",
        )  # fmt: skip

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any
    ) -> Any:
        return for_person(person(request), super().get_form(request, obj, change, **kw))

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
        assert isinstance(form, GroupForm)
        user = person(request)
        if change:
            groups.update(obj, user, form.given(), partial=True)
        else:
            obj.pk = groups.create(user, form.given()).pk

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
    list_display = ("name", "publisher", "version", "device", "seen_at")
    list_select_related = ("device",)
    list_filter = ("seen_at",)
    search_fields = ("name", "publisher", "version", "device__name")
    fields = ("name", "publisher", "version", "device_link", "catalogue_id", "seen_at")
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
    list_filter = ("signed_at",)
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
