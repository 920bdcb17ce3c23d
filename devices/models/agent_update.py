from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from devices.models.device import Device


class AgentRelease(models.Model):
    """The agent's wheel that this server serves, as worker or beat has signed it."""

    sha256 = models.CharField(primary_key=True, max_length=64, editable=False)
    version = models.CharField(max_length=50, editable=False)
    key_id = models.CharField(max_length=32, editable=False)
    terms = models.BinaryField(editable=False)
    signature = models.BinaryField(max_length=64, editable=False)
    signed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.version


class AgentUpdate(models.Model):
    """One device's agent is to become another version: what was last asked, and what came of it."""

    class Status(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        OFFERED = "offered", _("Under way")
        DONE = "done", _("Updated")
        FAILED = "failed", _("Failed")

    TONES: ClassVar = {"waiting": "wait", "offered": "busy", "done": "good", "failed": "bad"}

    device = models.OneToOneField(
        Device, primary_key=True, on_delete=models.CASCADE, related_name="agent_update"
    )
    version = models.CharField(max_length=50)
    sha256 = models.CharField(max_length=64)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    asked_at = models.DateTimeField()
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    offered_at = models.DateTimeField(null=True, blank=True)
    offers = models.PositiveSmallIntegerField(default=0)
    failures_before = models.PositiveIntegerField(
        default=0, help_text=_("How many the device had told of when it was offered this one.")
    )
    ended_at = models.DateTimeField(null=True, blank=True)
    message = models.TextField(blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["asked_at", "device"],
                name="agent_update_open",
                condition=models.Q(status__in=["waiting", "offered"]),
            ),
            models.Index(fields=["offered_at"], name="agent_update_pace"),
        ]

    def __str__(self) -> str:
        return f"{self.device_id}: {self.version}"
