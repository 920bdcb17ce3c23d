from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.uuid7 import uuid7
from devices.models.group import DeviceGroup

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.models import AnonymousUser, User


class EnrollmentTokenQuerySet(models.QuerySet["EnrollmentToken"]):
    def visible_to(self, user: User | AnonymousUser) -> EnrollmentTokenQuerySet:
        """Only administrators let machines in."""
        return self if user.is_active and user.is_superuser else self.none()

    def usable(self, now: datetime) -> EnrollmentTokenQuerySet:
        """Those that let another machine in."""
        present = self.filter(revoked_at=None, expires_at__gt=now)
        return present.filter(uses_count__lt=models.F("uses_limit"))


class EnrollmentToken(models.Model):
    """Lets a machine enrol: 256 bits, stored as SHA-256 only, expiring and use-limited."""

    class Status(models.TextChoices):
        USABLE = "usable", _("Usable")
        USED_UP = "used_up", _("Used up")
        EXPIRED = "expired", _("Expired")
        REVOKED = "revoked", _("Revoked")

    TONES: ClassVar = {"usable": "good", "used_up": "still", "expired": "still", "revoked": "still"}

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100, blank=True)
    token_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    group = models.ForeignKey(DeviceGroup, null=True, blank=True, on_delete=models.SET_NULL)
    uses_limit = models.PositiveIntegerField(default=1)
    uses_count = models.PositiveIntegerField(default=0, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = EnrollmentTokenQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(uses_count__lte=models.F("uses_limit")),
                name="enrollment_token_not_overused",
            )
        ]

    def __str__(self) -> str:
        return self.name or str(self.id)

    @property
    def status(self) -> Status:
        if self.revoked_at is not None:
            return self.Status.REVOKED
        if self.uses_count >= self.uses_limit:
            return self.Status.USED_UP
        return self.Status.USABLE if self.expires_at > timezone.now() else self.Status.EXPIRED
