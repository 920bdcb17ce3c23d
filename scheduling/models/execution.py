from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Min, Q, Value
from django.db.models.functions import Coalesce, NullIf
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.uuid7 import earliest, uuid7
from scheduling.models.scheduled_task import ScheduledTask
from scheduling.models.transitions import Transitions, guards, sources_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

TRANSITIONS: Transitions = {
    "pending": frozenset({"running", "skipped", "cancelled"}),
    "running": frozenset({"success", "partial", "failed", "cancelled", "skipped"}),
    # Late evidence from a device that was lost rewrites the judgement of an ended execution.
    "success": frozenset({"partial", "failed"}),
    "partial": frozenset({"success", "failed"}),
    "failed": frozenset({"success", "partial"}),
    "cancelled": frozenset(),
    "skipped": frozenset(),
    "missed": frozenset(),
}
# Ids are made by the clock of whichever process opened the row, `created_at` by the database's.
CLOCK_DIFFERENCE = timedelta(hours=1)
BIRTHS = ("pending", "running", "skipped", "missed")


class ExecutionQuerySet(models.QuerySet["Execution"]):
    def visible_to(self, user: User | AnonymousUser) -> ExecutionQuerySet:
        """Administrators see every execution; other people those of their tasks and their own."""
        if not user.is_active:
            return self.none()
        if user.is_superuser:
            return self
        return self.filter(Q(owner=user.pk) | Q(user=user.pk))

    def under_way(self) -> ExecutionQuerySet:
        return self.filter(status=Execution.Status.RUNNING)

    def unended(self) -> ExecutionQuerySet:
        return self.filter(status__in=[Execution.Status.PENDING, Execution.Status.RUNNING])

    def opened_from(self, moment: datetime) -> ExecutionQuerySet:
        """Opened at this instant or later."""
        # The bound on the id lets the primary key skip the rest of the history.
        first = earliest(_shifted(moment, -CLOCK_DIFFERENCE))
        return self.filter(created_at__gte=moment, pk__gte=first)

    def opened_before(self, moment: datetime) -> ExecutionQuerySet:
        last = earliest(_shifted(moment, CLOCK_DIFFERENCE))
        return self.filter(created_at__lt=moment, pk__lt=last)

    def ended_from(self, moment: datetime) -> ExecutionQuerySet:
        """Ended at this instant or later; asks at once when the first of them was opened."""
        ended = self.filter(completed_at__gte=moment)
        first = ended.order_by().aggregate(first=Min("created_at"))["first"]
        return ended.none() if first is None else ended.opened_from(first)

    def move(self, target: str, **changes: Any) -> int:
        """Moves the rows that may become `target`, with `changes`; answers how many moved."""
        sources = sources_of(TRANSITIONS, target)
        if target in Execution.ENDED:
            first = NullIf(F("ended_as"), Value(""))
            changes["ended_as"] = Coalesce(first, Value(target, models.CharField()))
        return self.filter(status__in=sources).update(status=target, **changes)


class Execution(models.Model):
    """One occurrence, or one manual run, of a task, with the definition as it was then."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Pending")
        RUNNING = "running", _("Running")
        SUCCESS = "success", _("Success")
        PARTIAL = "partial", _("Partial")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")
        SKIPPED = "skipped", _("Skipped")
        MISSED = "missed", _("Missed")

    class Trigger(models.TextChoices):
        SCHEDULE = "schedule", _("Schedule")
        MANUAL = "manual", _("By hand")
        RETRY = "retry", _("Retry")
        DEPENDENCY = "dependency", _("Dependency")
        RESTORE = "restore", _("Restore")

    class OpenedBy(models.TextChoices):
        BEAT = "beat", "beat"
        STOCK = "stock", "stock"
        RECONCILE = "reconcile", "reconcile"
        PERSON = "person", "person"
        WORKER = "worker", "worker"

    TONES: ClassVar = {
        "pending": "wait",
        "running": "busy",
        "success": "good",
        "partial": "mild",
        "failed": "bad",
        "cancelled": "still",
        "skipped": "still",
        "missed": "mild",
    }
    ENDED: ClassVar = frozenset({"success", "partial", "failed", "cancelled", "skipped", "missed"})

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    task = models.ForeignKey(
        ScheduledTask, null=True, on_delete=models.SET_NULL, related_name="executions"
    )
    task_name = models.CharField(max_length=200)
    task_type = models.CharField(max_length=40)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="executions_owned"
    )
    trigger = models.CharField(max_length=10, choices=Trigger.choices)
    opened_by = models.CharField(max_length=10, choices=OpenedBy.choices)
    caused_by = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="consequences"
    )
    scheduled_for = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices)
    # The first end it came to, which those that depend on it heed: late evidence may change the
    # status, and opens nothing.
    ended_as = models.CharField(max_length=10, choices=Status.choices, blank=True, editable=False)
    result = models.JSONField(default=dict)
    error_message = models.TextField(blank=True)

    definition = models.JSONField(default=dict)
    payload = models.BinaryField(null=True, editable=False)
    payload_sha256 = models.CharField(max_length=64, blank=True, editable=False)
    rollback_payload = models.BinaryField(null=True, editable=False)
    # By SHA-256, of the files that lie elsewhere: the catalogue may name another by now, or none.
    file_addresses = models.JSONField(default=dict, editable=False)

    cancel_requested_at = models.DateTimeField(null=True, blank=True, editable=False)
    rollout_paused_at = models.DateTimeField(null=True, blank=True, editable=False)
    rollout_paused_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
        editable=False,
    )
    abort_requested_at = models.DateTimeField(null=True, blank=True, editable=False)
    abort_reason = models.TextField(blank=True)
    open_wave = models.PositiveIntegerField(default=0, editable=False)
    wave_closed_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ExecutionQuerySet.as_manager()

    class Meta:
        db_table = "scheduled_task_executions"
        ordering: ClassVar = ["-id"]
        triggers: ClassVar = guards("execution_transitions", TRANSITIONS, BIRTHS)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["task", "scheduled_for"],
                condition=Q(scheduled_for__isnull=False),
                name="one_execution_per_occurrence",
            ),
            models.UniqueConstraint(
                fields=["task", "caused_by"],
                condition=Q(trigger="dependency"),
                name="one_execution_per_cause",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["pending", "running"]) ^ Q(completed_at__isnull=False),
                name="ended_execution_has_its_end",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["task", "-id"], name="execution_of_task"),
            models.Index(
                fields=["task_name", "-id"],
                name="execution_of_nothing_kept",
                condition=Q(task__isnull=True),
            ),
            models.Index(fields=["owner", "-id"], name="execution_of_owner"),
            models.Index(fields=["user", "-id"], name="execution_of_user"),
            models.Index(
                fields=["status", "id"],
                name="execution_unended",
                condition=Q(status__in=["pending", "running"]),
            ),
            models.Index(fields=["status", "-id"], name="execution_by_status"),
            models.Index(fields=["trigger", "-id"], name="execution_by_trigger"),
            models.Index(
                fields=["completed_at"],
                name="execution_by_end",
                condition=Q(completed_at__isnull=False),
            ),
            models.Index(
                fields=["scheduled_for"],
                name="execution_by_occurrence",
                condition=Q(scheduled_for__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task_name} {self.created_at:%Y-%m-%d %H:%M}"

    def get_absolute_url(self) -> str:
        return reverse("execution", args=[self.pk])

    @property
    def has_ended(self) -> bool:
        return self.status in self.ENDED

    @property
    def is_paused(self) -> bool:
        """Whether its rollout is held, which ends with the execution."""
        return self.status == self.Status.RUNNING and self.rollout_paused_at is not None


def _shifted(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return moment  # the first or the last hour of the calendar
