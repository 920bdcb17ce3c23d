from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.uuid7 import uuid7
from devices.agent import kinds
from scheduling import recurrence
from scheduling.options import Retry, Rollout

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.models import AnonymousUser, User


class ScheduledTaskQuerySet(models.QuerySet["ScheduledTask"]):
    def visible_to(self, user: User | AnonymousUser) -> ScheduledTaskQuerySet:
        """Administrators see every task; other people their own."""
        if not user.is_active:
            return self.none()
        return self if user.is_superuser else self.filter(user=user.pk)

    def listed(self) -> ScheduledTaskQuerySet:
        """Without the tasks that "Execute now" made to carry one execution."""
        return self.filter(ad_hoc=False)

    def due(self) -> ScheduledTaskQuerySet:
        """Tasks whose next occurrence has come, by the database's clock."""
        return self.filter(next_run_time__lte=Now())


class ScheduledTask(models.Model):
    """What to run, where and when."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Pending")
        RUNNING = "running", _("Running")
        COMPLETED = "completed", _("Completed")
        FAILED = "failed", _("Failed")
        PAUSED = "paused", _("Paused")

    TONES: ClassVar = {
        "pending": "wait",
        "running": "busy",
        "completed": "good",
        "failed": "bad",
        "paused": "held",
    }

    class RecurrenceType(models.TextChoices):
        ONCE = "once", _("Once")
        INTERVAL = "interval", _("Interval")
        DAILY = "daily", _("Daily")
        WEEKLY = "weekly", _("Weekly")
        MONTHLY = "monthly", _("Monthly")
        CUSTOM = "custom", _("Custom")

    class MisfirePolicy(models.TextChoices):
        SKIP = "skip", _("Skip what was missed")
        RUN_LATEST = "run_latest", _("Run the latest once")
        RUN_ALL = "run_all", _("Run each that was missed")

    class OverlapPolicy(models.TextChoices):
        SKIP = "skip", _("Skip the new run")
        QUEUE_ONE = "queue_one", _("Queue one")
        ALLOW = "allow", _("Allow both")
        CANCEL_RUNNING = "cancel_running", _("Cancel the old run")

    class OfflinePolicy(models.TextChoices):
        QUEUE = "queue", _("Wait for it")
        SKIP = "skip", _("Skip it")
        FAIL = "fail", _("Count it as failed")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="scheduled_tasks"
    )
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, max_length=10_000)
    tags = models.JSONField(default=list, blank=True)
    task_type = models.CharField(max_length=40, choices=kinds.choices)
    task_payload = models.JSONField()
    status = models.CharField(
        max_length=10, choices=Status.choices, default=Status.PENDING, editable=False
    )
    is_paused = models.BooleanField(default=False, editable=False)
    ad_hoc = models.BooleanField(default=False, editable=False)

    recurrence_type = models.CharField(max_length=10, choices=RecurrenceType.choices)
    recurrence_config = models.JSONField()
    time_zone = models.CharField(max_length=64, default="UTC")
    start_at = models.DateTimeField(null=True, blank=True)
    end_at = models.DateTimeField(null=True, blank=True)
    max_runs = models.PositiveIntegerField(null=True, blank=True)
    jitter_seconds = models.PositiveIntegerField(default=0)
    excluded_dates = models.JSONField(default=list, blank=True)

    next_scheduled_for = models.DateTimeField(null=True, blank=True, editable=False)
    next_run_time = models.DateTimeField(null=True, blank=True, editable=False)
    announced_for = models.DateTimeField(null=True, blank=True, editable=False)
    announced_at = models.DateTimeField(null=True, blank=True, editable=False)
    periodic_task = models.OneToOneField(
        "django_celery_beat.PeriodicTask",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="scheduled_task",
        editable=False,
    )

    last_run_time = models.DateTimeField(null=True, blank=True, editable=False)
    last_execution_status = models.CharField(max_length=10, blank=True, editable=False)
    execution_count = models.PositiveIntegerField(default=0, editable=False)
    scheduled_run_count = models.PositiveIntegerField(default=0, editable=False)

    device_ids = models.JSONField(default=list, blank=True)
    group_ids = models.JSONField(default=list, blank=True)

    misfire_policy = models.CharField(
        max_length=10, choices=MisfirePolicy.choices, default=MisfirePolicy.RUN_LATEST
    )
    misfire_grace_seconds = models.PositiveIntegerField(default=300)
    overlap_policy = models.CharField(
        max_length=15, choices=OverlapPolicy.choices, default=OverlapPolicy.SKIP
    )
    offline_policy = models.CharField(
        max_length=5, choices=OfflinePolicy.choices, default=OfflinePolicy.QUEUE
    )
    expires_after_seconds = models.PositiveIntegerField(default=86_400)
    timeout_seconds = models.PositiveIntegerField(default=3_600)
    rollout = models.JSONField(default=Rollout.defaults)
    retry = models.JSONField(default=Retry.defaults)

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ScheduledTaskQuerySet.as_manager()

    class Meta:
        db_table = "scheduled_tasks"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(next_run_time=None, next_scheduled_for=None)
                | Q(next_run_time__isnull=False, next_scheduled_for__isnull=False),
                name="planned_task_has_both_times",
            ),
            models.CheckConstraint(
                condition=Q(is_paused=False) | Q(next_run_time=None),
                name="paused_task_has_no_plan",
            ),
            models.CheckConstraint(
                condition=Q(end_at=None) | Q(start_at=None) | Q(end_at__gte=models.F("start_at")),
                name="task_ends_after_it_starts",
            ),
            models.CheckConstraint(
                condition=Q(timeout_seconds__gte=1, timeout_seconds__lte=86_400),
                name="task_timeout_within_a_day",
            ),
            models.CheckConstraint(
                condition=Q(expires_after_seconds__gte=1, expires_after_seconds__lte=2_592_000),
                name="task_waits_at_most_30_days",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["pending", "running", "completed", "failed", "paused"]),
                name="task_status_is_known",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["next_run_time"],
                name="task_due",
                condition=Q(next_run_time__isnull=False),
            ),
            models.Index(fields=["user", "-id"], name="task_of_user"),
            # The list of tasks in its usual order, and its counts: both without those that were made
            # to carry one execution, of which there are as many as the history is long.
            models.Index(
                fields=["next_run_time", "-id"], name="task_listed", condition=Q(ad_hoc=False)
            ),
            models.Index(
                fields=["status", "-id"], name="task_by_status", condition=Q(ad_hoc=False)
            ),
            models.Index(Lower("name"), name="task_name_lower"),
            GinIndex(fields=["device_ids"], name="task_devices", opclasses=["jsonb_path_ops"]),
            GinIndex(fields=["group_ids"], name="task_groups", opclasses=["jsonb_path_ops"]),
            GinIndex(fields=["tags"], name="task_tags", opclasses=["jsonb_path_ops"]),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("task", args=[self.pk])

    @property
    def anchor(self) -> datetime:
        """The instant from which every N days, weeks, months and intervals are counted."""
        return self.start_at or self.created_at

    @property
    def rule(self) -> recurrence.Rule:
        """When it runs. Raises recurrence.RuleError where the stored rule is not one."""
        return recurrence.parse(
            self.recurrence_type,
            self.recurrence_config,
            self.time_zone,
            anchor=self.anchor,
            start_at=self.start_at,
            end_at=self.end_at,
            excluded_dates=self.excluded_dates,
            jitter_seconds=self.jitter_seconds,
            jitter_key=str(self.pk),
        )

    @property
    def schedule_text(self) -> str:
        """The rule in words; a zone may have left the time zone database since it was stored."""
        try:
            return self.rule.sentence()
        except recurrence.RuleError as error:
            reasons = "; ".join(" ".join(said) for said in error.errors.values())
            return _("Not a valid rule any more: %s") % reasons


class TaskDependency(models.Model):
    """`task` runs whenever an execution of `parent` ends as `on` says."""

    class On(models.TextChoices):
        SUCCESS = "success", _("On success")
        FAILURE = "failure", _("On failure")
        COMPLETION = "completion", _("On completion")

    ENDS: ClassVar = {
        "success": _("on success"),
        "failure": _("on failure"),
        "completion": _("on success or failure"),
    }

    task = models.ForeignKey(ScheduledTask, on_delete=models.CASCADE, related_name="dependencies")
    parent = models.ForeignKey(ScheduledTask, on_delete=models.CASCADE, related_name="dependents")
    on = models.CharField(max_length=10, choices=On.choices)
    active_since = models.DateTimeField(
        default=timezone.now, editable=False, help_text=_("Ends before this moment open nothing.")
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["task", "parent"], name="one_dependency_per_parent"),
            models.CheckConstraint(
                condition=~Q(task=models.F("parent")), name="task_does_not_depend_on_itself"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task_id} after {self.on} of {self.parent_id}"

    @property
    def end(self) -> str:
        """On which ends of the parent, to stand after its name."""
        return str(self.ENDS[self.on])
