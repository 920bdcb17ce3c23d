"""API tokens, and the answers remembered for repeated requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.uuid7 import uuid7

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def visible_to(self, user: User | AnonymousUser) -> ApiTokenQuerySet:
        """Administrators see every token, to revoke it; other people their own."""
        if not user.is_active:
            return self.none()
        return self if user.is_superuser else self.filter(user=user.pk)


class ApiToken(models.Model):
    """A person's key to the API. Only its SHA-256 is stored; the key itself is shown once."""

    class Scope(models.TextChoices):
        TASKS_READ = "tasks:read", _("Read tasks and executions")
        TASKS_WRITE = "tasks:write", _("Create and change tasks")
        TASKS_RUN = "tasks:run", _("Execute, cancel and retry")
        DEVICES_READ = "devices:read", _("Read devices and groups")
        DEVICES_WRITE = "devices:write", _("Change devices and groups")
        ADMIN = "admin", _("Everything the owner may do")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(max_length=100)
    key_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(
        default=list, blank=True, help_text=_("Empty: all the owner's rights.")
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.name


class IdempotencyKey(models.Model):
    """The first answer to a POST that carried an `Idempotency-Key`, kept for 24 hours."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    method = models.CharField(max_length=10)
    path = models.CharField(max_length=300)
    key = models.CharField(max_length=200)
    body_sha256 = models.CharField(max_length=64)
    response_status = models.PositiveSmallIntegerField(null=True)
    response_body = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "method", "path", "key"], name="one_answer_per_idempotency_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"
