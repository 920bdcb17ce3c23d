from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from accounts.uuid7 import uuid7
from devices.models.group import DeviceGroup


class EnrollmentToken(models.Model):
    """Lets a machine enrol: 256 bits, stored as SHA-256 only, expiring and use-limited."""

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
