from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.uuid7 import uuid7

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


class DeviceGroupQuerySet(models.QuerySet["DeviceGroup"]):
    def visible_to(self, user: User | AnonymousUser) -> DeviceGroupQuerySet:
        """Administrators see every group; other people those they were given."""
        if not user.is_active:
            return self.none()
        if user.is_superuser:
            return self
        return self.filter(
            pk__in=DeviceGroup.people.through.objects.filter(user=user.pk).values("devicegroup")
        )

    def by_query(self) -> DeviceGroupQuerySet:
        return self.filter(kind=DeviceGroup.Kind.DYNAMIC)


class DeviceGroup(models.Model):
    """Devices that are addressed together, and the people who may use them."""

    class Kind(models.TextChoices):
        STATIC = "static", _("Static")
        DYNAMIC = "dynamic", _("By query")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100, unique=True)
    description = models.TextField(blank=True, max_length=2000)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.STATIC)
    query = models.TextField(
        blank=True, max_length=2_000, help_text=_("Of a group by query: which devices are in it.")
    )
    devices = models.ManyToManyField("devices.Device", related_name="groups", blank=True)
    people = models.ManyToManyField(
        settings.AUTH_USER_MODEL, related_name="device_groups", blank=True
    )
    created_at = models.DateTimeField(auto_now_add=True)
    refreshed_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text=_("When the members of a group by query were last looked up."),
    )

    objects = DeviceGroupQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(kind="static", query="")
                | ~models.Q(kind="static") & ~models.Q(query=""),
                name="group_by_query_has_a_query",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("group", args=[self.pk])
