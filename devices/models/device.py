from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.uuid7 import uuid7

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


class DeviceQuerySet(models.QuerySet["Device"]):
    def visible_to(self, user: User | AnonymousUser) -> DeviceQuerySet:
        """Administrators see every device; other people those of the groups they were given."""
        if not user.is_active:
            return self.none()
        if user.is_superuser:
            return self
        return self.filter(
            pk__in=Device.groups.through.objects.filter(devicegroup__people=user.pk).values(
                "device"
            )
        )

    def present(self) -> DeviceQuerySet:
        """Devices that may be given work: not revoked."""
        return self.filter(revoked_at=None)

    def with_status(self, status: str) -> DeviceQuerySet:
        """Devices that `Device.status` says this of."""
        if status == Device.Status.REVOKED:
            return self.exclude(revoked_at=None)
        present = self.present()
        if status == Device.Status.NEVER_CONNECTED:
            return present.filter(last_seen_at=None)
        return present.filter(last_seen_at__isnull=False, is_online=status == Device.Status.ONLINE)

    def tagged(self, tag: str) -> DeviceQuerySet:
        """`name` asks for devices with that tag, `name=text` for that text of it as well."""
        name, has_text, text = tag.partition("=")
        if has_text:
            return self.filter(tags__contains={name.strip(): text.strip()})
        return self.filter(tags__has_key=name.strip())

    def found_by(self, search: str) -> DeviceQuerySet:
        """Devices whose name or host name holds these letters."""
        return self.filter(models.Q(name__icontains=search) | models.Q(hostname__icontains=search))


class Device(models.Model):
    """A machine with an enrolled agent. Its id is made by the server; its identity is its key."""

    class Status(models.TextChoices):
        ONLINE = "online", _("Online")
        OFFLINE = "offline", _("Offline")
        NEVER_CONNECTED = "never_connected", _("Never connected")
        REVOKED = "revoked", _("Revoked")

    TONES: ClassVar = {
        "online": "good",
        "offline": "mild",
        "never_connected": "wait",
        "revoked": "still",
    }

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=200, db_index=True)
    hostname = models.CharField(max_length=255, blank=True)
    os = models.CharField(max_length=50, blank=True, db_index=True)
    architecture = models.CharField(max_length=50, blank=True)
    agent_version = models.CharField(max_length=50, blank=True)
    public_key = models.BinaryField(max_length=32, unique=True, editable=False)
    tags = models.JSONField(default=dict, blank=True)
    facts = models.JSONField(default=dict, blank=True)
    enrolled_at = models.DateTimeField(auto_now_add=True)
    enrolled_with = models.ForeignKey(
        "devices.EnrollmentToken",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="devices",
        editable=False,
        help_text=_("The token that let it in."),
    )
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    is_online = models.BooleanField(default=False, editable=False)
    online_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    # When a session first told of this boot, and when the latest run began that wanted another.
    booted_at = models.DateTimeField(null=True, blank=True, editable=False)
    restart_wanted_at = models.DateTimeField(null=True, blank=True, editable=False)
    session = models.UUIDField(null=True, blank=True, editable=False)
    session_opened_at = models.DateTimeField(null=True, blank=True, editable=False)
    is_ready = models.BooleanField(
        default=True,
        editable=False,
        help_text=_("False after a giveback, until a poll says ready."),
    )
    in_recovery = models.BooleanField(
        default=False,
        editable=False,
        help_text=_("After a restore, until it has told what it knows of its runs."),
    )
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    contested_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text=_("When two machines were last seen to use this one identity."),
    )

    objects = DeviceQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name", "id"]
        indexes: ClassVar = [
            GinIndex(fields=["tags"], name="device_tags", opclasses=["jsonb_path_ops"]),
            models.Index(
                fields=["last_seen_at"], name="device_online", condition=models.Q(is_online=True)
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("device", args=[self.pk])

    @property
    def status(self) -> Status:
        if self.revoked_at is not None:
            return self.Status.REVOKED
        if self.last_seen_at is None:
            return self.Status.NEVER_CONNECTED
        return self.Status.ONLINE if self.is_online else self.Status.OFFLINE

    @property
    def wants_restart(self) -> bool:
        """Whether a run wanted that since it was last booted."""
        wanted, booted = self.restart_wanted_at, self.booted_at
        return wanted is not None and (booted is None or wanted >= booted)
