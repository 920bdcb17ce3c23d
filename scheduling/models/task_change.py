from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.uuid7 import uuid7
from scheduling.models.scheduled_task import ScheduledTask

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


class TaskChangeQuerySet(models.QuerySet["TaskChange"]):
    def visible_to(self, user: User | AnonymousUser) -> TaskChangeQuerySet:
        """What happened to the tasks that this person may see."""
        if not user.is_active:
            return self.none()
        return self if user.is_superuser else self.filter(task__user=user.pk)


class TaskChange(models.Model):
    """Who did what to a task, and when. Goes with its task, and after so long with the history."""

    class Verb(models.TextChoices):
        CREATED = "created", _("Created")
        EDITED = "edited", _("Edited")
        PAUSED = "paused", _("Paused")
        RESUMED = "resumed", _("Resumed")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    task = models.ForeignKey(
        ScheduledTask, on_delete=models.CASCADE, related_name="changes", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
        help_text=_("Empty where the system did it, or the account is gone."),
    )
    verb = models.CharField(max_length=10, choices=Verb.choices)
    # [{"field", "old", "new"}], or {"field", "added", "removed"} of a list; secrets never.
    fields = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)

    objects = TaskChangeQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["task", "-id"], name="change_of_task"),
            models.Index(fields=["created_at"], name="change_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.created_at:%Y-%m-%d %H:%M}"
