"""A device's page with a way to what ran there, which `devices` knows nothing of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.utils.translation import gettext_lazy

from accounts.administration import link_to_list
from devices.admin import DeviceAdmin
from devices.models import Device
from scheduling.models import DeviceRun

if TYPE_CHECKING:
    from django.utils.safestring import SafeString


class DeviceWithRunsAdmin(DeviceAdmin):
    fields = (*DeviceAdmin.fields, "its_runs")
    readonly_fields = (*DeviceAdmin.readonly_fields, "its_runs")

    @admin.display(description=gettext_lazy("Runs"))
    def its_runs(self, device: Device) -> SafeString:
        return link_to_list(DeviceRun, device.runs.count(), device__id__exact=device.pk)


admin.site.unregister(Device)
admin.site.register(Device, DeviceWithRunsAdmin)
