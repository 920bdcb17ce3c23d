"""Why a run has not started, and since when: computed when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from django.db.models import Case, Count, Exists, F, OuterRef, Q, TextChoices, Value, When
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from scheduling.models import DeviceRun, Execution

if TYPE_CHECKING:
    from uuid import UUID

AT_WORK = ("claimed", "running")


class WaitingFor(TextChoices):
    RECOVERY = "recovery", _("The device is being recovered after a restore")
    ROLLOUT_PAUSED = "rollout_paused", _("The rollout is paused")
    EARLIER_WAVE = "earlier_wave", _("An earlier wave has to end first")
    RETRY_BACKOFF = "retry_backoff", _("The pause before the next attempt")
    DEVICE_OFFLINE = "device_offline", _("The device is offline")
    CONCURRENCY_LIMIT = "concurrency_limit", _("As many devices as allowed are at work")
    DISPATCHER = "dispatcher", _("A worker to release it")
    DEVICE_BUSY = "device_busy", _("The device has other runs to do first")
    AGENT = "agent", _("The agent to fetch or start it")


def explain(runs: Sequence[DeviceRun]) -> None:
    """Sets `waiting_for` and `waiting_since` on each run; both None on one that has started.

    The runs come with `execution` and `device` selected; asks the database once more at most.
    """
    busy = _busy_devices([run.device_id for run in runs if run.status == "queued"])
    now = timezone.now()
    for run in runs:
        run.waiting_for, run.waiting_since = None, None  # type: ignore[attr-defined]
        if run.status in DeviceRun.UNSTARTED:
            word, since = _reason(run, busy, now)
            run.waiting_for, run.waiting_since = word, since  # type: ignore[attr-defined]


def _reason(run: DeviceRun, busy: set[UUID], now: datetime) -> tuple[WaitingFor, datetime | None]:
    """The first that holds; nothing is waited for before the run was made."""
    device, made = run.device, max(run.created_at, run.not_before or run.created_at)
    if device is not None and device.in_recovery:
        return WaitingFor.RECOVERY, run.created_at
    if run.status == "claimed":
        return WaitingFor.AGENT, run.claimed_at
    if run.status == "pending" and run.wave > max(1, run.execution.open_wave):
        return WaitingFor.EARLIER_WAVE, run.created_at
    if run.execution.rollout_paused_at is not None:
        return WaitingFor.ROLLOUT_PAUSED, max(run.execution.rollout_paused_at, run.created_at)
    if run.status == "pending" and run.not_before is not None and run.not_before > now:
        return WaitingFor.RETRY_BACKOFF, run.created_at
    if device is not None and not device.is_online:
        return WaitingFor.DEVICE_OFFLINE, max(device.last_seen_at or made, made)
    if run.status == "pending":
        released = run.execution.open_wave > 0
        word = WaitingFor.CONCURRENCY_LIMIT if released else WaitingFor.DISPATCHER
        return word, made
    if not run.has_slot:
        return WaitingFor.CONCURRENCY_LIMIT, run.queued_at
    word = WaitingFor.DEVICE_BUSY if run.device_id in busy else WaitingFor.AGENT
    return word, run.queued_at


def counted(execution: Execution) -> dict[WaitingFor, int]:
    """How many of the execution's runs wait for what, by the rules of `explain`, most first; counted
    by the database in one query."""
    return counted_of_each([execution.pk]).get(execution.pk, {})


def counted_of_each(execution_ids: Iterable[UUID]) -> dict[UUID, dict[WaitingFor, int]]:
    """The same of many executions in one query; one that nothing waits in is left out."""
    reason = Case(*_rules(), default=Value(WaitingFor.AGENT.value))
    waiting = DeviceRun.objects.unstarted().filter(execution__in=list(execution_ids)).order_by()
    rows = waiting.annotate(reason=reason).values_list("execution", "reason")
    found: dict[UUID, dict[WaitingFor, int]] = {}
    for pk, word, number in rows.annotate(number=Count("pk")).order_by("-number", "reason"):
        found.setdefault(pk, {})[WaitingFor(word)] = number
    return found


def _rules() -> list[When]:
    """`_reason`, said in SQL: the first that holds."""
    at_work = DeviceRun.objects.filter(device=OuterRef("device"), status__in=AT_WORK)
    open_wave = Greatest(1, F("execution__open_wave"))
    rules: list[tuple[Q, WaitingFor]] = [
        (Q(device__in_recovery=True), WaitingFor.RECOVERY),
        (Q(status="claimed"), WaitingFor.AGENT),
        (Q(status="pending", wave__gt=open_wave), WaitingFor.EARLIER_WAVE),
        (Q(execution__rollout_paused_at__isnull=False), WaitingFor.ROLLOUT_PAUSED),
        (Q(status="pending", not_before__gt=timezone.now()), WaitingFor.RETRY_BACKOFF),
        (Q(device__is_online=False), WaitingFor.DEVICE_OFFLINE),
        (Q(status="pending", execution__open_wave__gt=0), WaitingFor.CONCURRENCY_LIMIT),
        (Q(status="pending"), WaitingFor.DISPATCHER),
        (Q(has_slot=False), WaitingFor.CONCURRENCY_LIMIT),
        (Q(Exists(at_work)), WaitingFor.DEVICE_BUSY),
    ]
    return [When(condition, then=Value(word.value)) for condition, word in rules]


def _busy_devices(device_ids: Sequence[UUID | None]) -> set[UUID]:
    if not device_ids:
        return set()
    on_device = DeviceRun.objects.filter(device__in=device_ids, status__in=AT_WORK)
    return {one for one in on_device.values_list("device", flat=True) if one is not None}
