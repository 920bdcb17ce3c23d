from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.uuid7 import uuid7
from devices.agent import kinds

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


class TaskTemplateQuerySet(models.QuerySet["TaskTemplate"]):
    def visible_to(self, user: User | AnonymousUser) -> TaskTemplateQuerySet:
        """Administrators see every template; other people their own and the shared ones."""
        if not user.is_active:
            return self.none()
        return self if user.is_superuser else self.filter(Q(user=user.pk) | Q(shared=True))


class TaskTemplate(models.Model):
    """Some of a task's fields, kept to begin new tasks from."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="task_templates"
    )
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, max_length=10_000)
    task_type = models.CharField(max_length=40, choices=kinds.choices)
    definition = models.JSONField(
        default=dict, help_text=_("Fields of a task as the API takes them, those that are set.")
    )
    shared = models.BooleanField(default=False, help_text=_("Everybody may use it."))
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TaskTemplateQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["name", "-id"], name="template_shared", condition=Q(shared=True)),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("template", args=[self.pk])
