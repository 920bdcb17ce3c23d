"""Whether a person may name these devices and groups as a task's targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from accounts.errors import NotAllowed
from accounts.fields import Errors
from devices.models import Device, DeviceGroup

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from scheduling.models import ScheduledTask


def check(values: dict[str, Any], user: User, task: ScheduledTask | None, errors: Errors) -> None:
    """Puts what is wrong with the targets of a checked input into `errors`. Raises NotAllowed where the
    person may not use a target that the task has already."""
    if "device_ids" not in values or "group_ids" not in values:
        return
    if not values["device_ids"] and not values["group_ids"]:
        for name in ("device_ids", "group_ids"):
            errors.setdefault(name, []).append(_("Name at least one device or group."))
        return
    visible: dict[str, Any] = {
        "device_ids": Device.objects.visible_to(user).present(),
        "group_ids": DeviceGroup.objects.visible_to(user),
    }
    for name, queryset in visible.items():
        found = {
            str(pk) for pk in queryset.filter(pk__in=values[name]).values_list("pk", flat=True)
        }
        missing = [one for one in values[name] if one not in found]
        kept = set(getattr(task, name)) if task else set()
        new = [one for one in missing if one not in kept]
        if new:
            errors.setdefault(name, []).append(_("Not found: %s.") % ", ".join(new[:5]))
        elif _are_present(queryset.model, missing) and not user.is_superuser:
            raise NotAllowed(_("You may not use every target of this task."))


def _are_present(model: type[Device] | type[DeviceGroup], ids: list[str]) -> bool:
    """Whether any of these is still there to be used by somebody: a revoked device is not."""
    there = Device.objects.present() if model is Device else DeviceGroup.objects.all()
    return there.filter(pk__in=ids).exists()
