from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from accounts.uuid7 import uuid7
from devices.models import Device
from scheduling.models.execution import Execution
from scheduling.models.transitions import Transitions, guards, sources_of

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import AnonymousUser, User

_OUTCOMES = frozenset({"succeeded", "failed", "timed_out", "cancelled"})
TRANSITIONS: Transitions = {
    "pending": frozenset({"queued", "cancelled", "expired", "skipped", "lost"}),
    "queued": frozenset({"claimed", "cancelled", "expired", "skipped", "lost"}),
    "claimed": frozenset(
        {"queued", "rejected", "running", "cancelled", "expired", "skipped", "lost"}
    ),
    "running": _OUTCOMES | {"lost"},
    "lost": _OUTCOMES,
    **dict.fromkeys(
        ("succeeded", "failed", "timed_out", "cancelled", "rejected", "expired", "skipped"),
        frozenset(),
    ),
}
# After a restore, a device's journal may show a start the restored row does not know of.
IN_RECOVERY: Transitions = {"pending": frozenset({"running"}), "queued": frozenset({"running"})}


_IN_RECOVERY = Device.objects.filter(pk=OuterRef("device_id"), in_recovery=True)
_OFFLINE = Device.objects.filter(pk=OuterRef("device_id"), is_online=False)


class DeviceRunQuerySet(models.QuerySet["DeviceRun"]):
    def visible_to(self, user: User | AnonymousUser) -> DeviceRunQuerySet:
        """The runs of the executions this person may see."""
        if not user.is_active:
            return self.none()
        if user.is_superuser:
            return self
        return self.filter(Q(execution__owner=user.pk) | Q(execution__user=user.pk))

    def unended(self) -> DeviceRunQuerySet:
        return self.filter(status__in=DeviceRun.UNENDED)

    def unstarted(self) -> DeviceRunQuerySet:
        return self.filter(status__in=DeviceRun.UNSTARTED)

    def execution_ids(self) -> list[UUID]:
        """The executions they are of, each once: the default order would tell the runs apart."""
        return list(self.order_by().values_list("execution", flat=True).distinct())

    def on_offline_devices(self) -> DeviceRunQuerySet:
        """The same as a condition that joins, and fit for an UPDATE."""
        return self.filter(Exists(_OFFLINE))

    def in_recovery(self) -> DeviceRunQuerySet:
        """Those of devices that have not yet said, after a restore, what they know of them."""
        return self.filter(Exists(_IN_RECOVERY))

    def out_of_recovery(self) -> DeviceRunQuerySet:
        """The others: those that the server may end."""
        return self.exclude(Exists(_IN_RECOVERY))

    def move(self, target: str, **changes: Any) -> int:
        """Moves the rows that may become `target`, with `changes`; answers how many moved.

        Raises ValueError for a condition that joins: Django looks such rows up beforehand, and one
        that somebody else moved in between would be moved again whatever it is now.
        """
        rows = self.filter(status__in=sources_of(TRANSITIONS, target))
        if rows.query.count_active_tables() > 1:
            raise ValueError("a move's condition joins other tables; ask with Exists instead")
        return rows.update(status=target, **changes)


class DeviceRun(models.Model):
    """One attempt of an execution on one device."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Pending")
        QUEUED = "queued", _("Queued")
        CLAIMED = "claimed", _("Claimed")
        RUNNING = "running", _("Running")
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")
        TIMED_OUT = "timed_out", _("Timed out")
        CANCELLED = "cancelled", _("Cancelled")
        REJECTED = "rejected", _("Rejected")
        EXPIRED = "expired", _("Expired")
        SKIPPED = "skipped", _("Skipped")
        LOST = "lost", _("Lost")

    class OutputForm(models.TextChoices):
        """Whether what is kept still lies in the pieces it came in. None kept: blank."""

        LOOSE = "loose", _("Loose")
        MERGED = "merged", _("Merged")

    TONES: ClassVar = {
        "pending": "wait",
        "queued": "wait",
        "claimed": "busy",
        "running": "busy",
        "succeeded": "good",
        "failed": "bad",
        "timed_out": "bad",
        "cancelled": "still",
        "rejected": "bad",
        "expired": "mild",
        "skipped": "still",
        "lost": "bad",
    }
    UNSTARTED: ClassVar = ("pending", "queued", "claimed")
    UNENDED: ClassVar = ("pending", "queued", "claimed", "running")
    AGAINST: ClassVar = ("failed", "timed_out", "rejected", "expired", "lost")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Each change of state writes into every index. Two of foreign keys are left out, for others
    # begin with the same column.
    execution = models.ForeignKey(
        Execution, on_delete=models.CASCADE, related_name="runs", db_index=False
    )
    task_id = models.UUIDField(null=True, editable=False)
    device = models.ForeignKey(
        Device, null=True, on_delete=models.SET_NULL, related_name="runs", db_index=False
    )
    device_name = models.CharField(max_length=200)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    attempt = models.PositiveSmallIntegerField(default=1)
    is_last_attempt = models.BooleanField(default=True, editable=False)
    wave = models.PositiveIntegerField(default=1)
    rolls_back = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        # Without what it undoes, it would be a second first attempt.
        on_delete=models.CASCADE,
        related_name="rollbacks",
        db_index=False,
        help_text=_("The run whose work this one undoes."),
    )
    was_lost = models.BooleanField(default=False)
    is_exclusive = models.BooleanField(
        default=True,
        editable=False,
        help_text=_("Never beside another run of its task on a device."),
    )
    has_slot = models.BooleanField(default=False, editable=False)

    created_at = models.DateTimeField(auto_now_add=True)
    not_before = models.DateTimeField(null=True, blank=True)
    queued_at = models.DateTimeField(null=True, blank=True)
    not_after = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    claim_session = models.UUIDField(null=True, blank=True, editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)

    timeout_seconds = models.PositiveIntegerField(default=3_600)
    key_id = models.CharField(max_length=32, blank=True, editable=False)
    terms = models.BinaryField(null=True, editable=False)
    signature = models.BinaryField(null=True, editable=False)

    exit_code = models.BigIntegerField(null=True, blank=True)
    error_message = models.TextField(blank=True)
    detail = models.JSONField(default=dict, blank=True)
    output_next = models.BigIntegerField(default=0, editable=False)
    # Of both streams, without what the agent dropped: what output_sha256 is over, when it ends.
    output_sent = models.BigIntegerField(default=0, editable=False)
    output_kept = models.BigIntegerField(default=0, editable=False)
    output_tail_start = models.BigIntegerField(default=0, editable=False)
    output_form = models.CharField(
        max_length=6, choices=OutputForm.choices, blank=True, editable=False
    )
    output_sha256 = models.CharField(max_length=64, blank=True, editable=False)
    is_output_verified = models.BooleanField(null=True, editable=False)
    output_truncated = models.BooleanField(default=False)
    output_finished = models.BooleanField(default=False, editable=False)

    objects = DeviceRunQuerySet.as_manager()

    class Meta:
        db_table = "scheduled_task_device_runs"
        ordering: ClassVar = ["-id"]
        triggers: ClassVar = guards(
            "device_run_transitions",
            TRANSITIONS,
            births=["pending"],
            exceptional=IN_RECOVERY,
            exception_sql=(
                "EXISTS (SELECT 1 FROM devices_device"
                " WHERE devices_device.id = NEW.device_id AND devices_device.in_recovery)"
            ),
        )
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["execution", "device", "attempt"],
                condition=Q(rolls_back=None),
                name="one_run_per_device_and_attempt",
            ),
            models.UniqueConstraint(
                fields=["rolls_back"],
                condition=Q(rolls_back__isnull=False),
                name="one_rollback_per_run",
            ),
            models.CheckConstraint(
                # After a restore, a device may say of a run that it has begun which this database
                # never released.
                condition=~Q(status__in=["queued", "claimed", "running"])
                | Q(terms__isnull=False, signature__isnull=False)
                | Q(status="running", queued_at=None),
                name="released_run_is_signed",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["pending", "queued", "claimed", "running"])
                ^ Q(finished_at__isnull=False),
                name="ended_run_has_its_end",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["rejected", "expired", "skipped"]) | Q(started_at=None),
                name="run_that_did_not_run_never_started",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["execution", "status"], name="run_by_execution"),
            models.Index(fields=["device", "-id"], name="run_of_device"),
            # A burst of runs is under way before the planner's statistics know of any, and an index
            # that holds just those looks empty to it: read from end to end for every row, it made
            # a thousand claims a million steps. So each demands what only its own questions say:
            # which device, or which instant.
            models.Index(
                fields=["device", "queued_at", "id"],
                name="run_queued",
                condition=Q(status="queued", device__isnull=False),
            ),
            models.Index(
                fields=["device", "queued_at", "id"],
                name="run_claimable",
                condition=Q(status="queued", has_slot=True, device__isnull=False),
            ),
            models.Index(
                fields=["device", "task_id"],
                name="run_on_device",
                condition=Q(status__in=["claimed", "running"], device__isnull=False),
            ),
            models.Index(
                fields=["device"],
                name="run_cancelling",
                condition=Q(
                    status__in=["running", "lost"],
                    cancel_requested_at__isnull=False,
                    device__isnull=False,
                ),
            ),
            models.Index(
                fields=["execution", "id"], name="run_pending", condition=Q(status="pending")
            ),
            models.Index(
                fields=["not_before"],
                name="run_attempted_again",
                condition=Q(status="pending", not_before__isnull=False),
            ),
            models.Index(
                fields=["not_after"],
                name="run_expiry",
                condition=Q(status__in=["queued", "claimed"], not_after__isnull=False),
            ),
            models.Index(
                fields=["deadline_at"],
                name="run_deadline",
                condition=Q(status="running", deadline_at__isnull=False),
            ),
            # On what changes once or twice in a run's life: a condition on output_kept would
            # have every batch of output write a new entry into all indexes.
            models.Index(
                fields=["finished_at"],
                name="run_output_ended",
                condition=Q(output_form__in=["loose", "merged"]),
            ),
            models.Index(
                fields=["finished_at", "id"],
                name="run_output_loose",
                condition=Q(output_form="loose"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.device_name} ({self.status})"

    def another(self, **changes: Any) -> DeviceRun:
        """A pending run, not stored yet, on the same device for the same execution."""
        return DeviceRun(
            execution_id=self.execution_id,
            task_id=self.task_id,
            device_id=self.device_id,
            device_name=self.device_name,
            wave=self.wave,
            timeout_seconds=self.timeout_seconds,
            is_exclusive=self.is_exclusive,
            **changes,
        )

    @property
    def dropped_bytes(self) -> int:
        """Bytes the command wrote that are not, or no longer, kept."""
        return self.output_next - self.output_kept

    @property
    def output_bytes(self) -> int:
        """Bytes the command wrote, whether kept or not."""
        return self.output_next

    @property
    def has_ended(self) -> bool:
        return self.status not in self.UNENDED
