from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from devices.models.device import Device

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


class InstalledSoftwareQuerySet(models.QuerySet["InstalledSoftware"]):
    def visible_to(self, user: User | AnonymousUser) -> InstalledSoftwareQuerySet:
        """What is on the devices this person sees."""
        if user.is_active and user.is_superuser:
            return self
        return self.filter(device__in=Device.objects.visible_to(user))


class InstalledSoftware(models.Model):
    """The version of a software that a device had when a run last looked; `catalogue_id` names the
    entry it was deployed from, which may be gone. Two publishers may call theirs the same."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="software")
    name = models.CharField(max_length=200)
    publisher = models.CharField(max_length=200, blank=True)
    version = models.CharField(max_length=200)
    catalogue_id = models.UUIDField(null=True, blank=True)
    seen_at = models.DateTimeField()

    objects = InstalledSoftwareQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name", "publisher"]
        verbose_name_plural = _("installed software")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["device", "name", "publisher"], name="one_version_per_device"
            ),
        ]
        indexes: ClassVar = [models.Index(Lower("name"), name="installed_software_name")]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"
