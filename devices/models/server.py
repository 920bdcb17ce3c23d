from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models


class Installation(models.Model):
    """This server's own identity and past: one row, made at the first start.

    `recovery_began_at` is when the latest restore was declared, `backup_taken_at` how old the data
    was by then (None: nobody said). Which devices are still in recovery, their own rows say.
    `tzdata_version` is the time zone database that all plans follow.
    """

    only = models.BooleanField(primary_key=True, default=True, editable=False)
    server_id = models.UUIDField(default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    recovery_began_at = models.DateTimeField(null=True, editable=False)
    backup_taken_at = models.DateTimeField(null=True, editable=False)
    tzdata_version = models.CharField(max_length=20, blank=True, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(only=True), name="one_installation_row")
        ]

    def __str__(self) -> str:
        return str(self.server_id)


class ServerKey(models.Model):
    """The public half of a signing key; the private half is a file that only worker and beat read.

    Each key but the first is signed by the one before, so an agent that pinned any earlier key can
    follow the chain to the newest.
    """

    key_id = models.CharField(primary_key=True, max_length=32, editable=False)
    public_key = models.BinaryField(max_length=32, unique=True)
    previous = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="successor"
    )
    signature = models.BinaryField(max_length=64, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                models.Value(True, output_field=models.BooleanField()),
                condition=models.Q(retired_at=None),
                name="one_current_server_key",
            )
        ]

    def __str__(self) -> str:
        return self.key_id
