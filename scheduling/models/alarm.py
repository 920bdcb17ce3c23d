from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.uuid7 import uuid7
from devices.models import Device

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


class AlarmQuerySet(models.QuerySet["Alarm"]):
    def visible_to(self, user: User | AnonymousUser) -> AlarmQuerySet:
        """The alarms of the devices this person may use; administrators see those of all."""
        if not user.is_active:
            return self.none()
        if user.is_superuser:
            return self
        return self.filter(device__in=Device.objects.visible_to(user))


class Alarm(models.Model):
    """A device's journal contradicts this server: something ran that, by its rows, did not.

    `run_id` is no foreign key: of a run unknown here there is no row.
    """

    class Kind(models.TextChoices):
        BEFORE_ITS_START = "before_its_start", _("Ran before this server had let it start")
        AFTER_ITS_END = "after_its_end", _("Ran although it had ended without a start")
        UNKNOWN_RUN = "unknown_run", _("Is on the device, and this server knows nothing of it")
        MORE_UNKNOWN = "more_unknown", _("One of further runs that this server knows nothing of")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    device = models.ForeignKey(Device, null=True, on_delete=models.SET_NULL, related_name="alarms")
    device_name = models.CharField(max_length=200)
    run_id = models.UUIDField()
    # How many runs the row stands for: those beyond the limit share one.
    number = models.PositiveIntegerField(default=1)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField(db_index=True)

    objects = AlarmQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-last_seen_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["device", "run_id", "kind"], name="one_alarm_per_contradiction"
            )
        ]

    def __str__(self) -> str:
        return f"{self.device_name}: {self.kind}"

    @property
    def says(self) -> str:
        if self.kind != self.Kind.MORE_UNKNOWN:
            return str(self.get_kind_display())
        said = ngettext(
            "Is %d further run on the device that this server knows nothing of",
            "Is one of %d further runs on the device that this server knows nothing of",
            self.number,
        )
        return said % self.number
