"""Why a run has not started, and since when: computed when somebody asks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextChoices,
    Value,
    When,
)
from django.db.models.functions import Cast, Greatest, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from scheduling import progress
from scheduling.models import DeviceRun, Execution

if TYPE_CHECKING:
    from uuid import UUID

    from scheduling.models.device_run import DeviceRunQuerySet

AT_WORK = ("claimed", "running")


class WaitingFor(TextChoices):
    RECOVERY = "recovery", _("The device is being recovered after a restore")
    ROLLOUT_PAUSED = "rollout_paused", _("The rollout is paused")
    EARLIER_WAVE = "earlier_wave", _("An earlier wave has to end first")
    SOAKING = "soaking", _("The wave before it is being watched")
    RETRY_BACKOFF = "retry_backoff", _("The pause before the next attempt")
    DEVICE_OFFLINE = "device_offline", _("The device is offline")
    CONCURRENCY_LIMIT = "concurrency_limit", _("As many devices as allowed are at work")
    DISPATCHER = "dispatcher", _("A worker to release it")
    AGENT_NOT_READY = "agent_not_ready", _("The agent takes nothing new at present")
    DEVICE_BUSY = "device_busy", _("The device has other runs to do first")
    AGENT = "agent", _("The agent to fetch or start it")


def explain(runs: Sequence[DeviceRun]) -> None:
    """Sets `waiting_for` and `waiting_since` on each run; both None on one that has started.

    The runs come with `execution` and `device` selected; asks the database once more at most, and not
    for those that come `with_words`.
    """
    unstarted = [run for run in runs if run.status in DeviceRun.UNSTARTED]
    words = {run.pk: WaitingFor(run.word) for run in unstarted if hasattr(run, "word")}
    if unasked := [run for run in unstarted if run.pk not in words]:
        words |= _words(unasked)
    for run in runs:
        run.waiting_for, run.waiting_since = None, None  # type: ignore[attr-defined]
    for run in unstarted:
        # One that is gone meanwhile waits for nobody any more.
        word = words.get(run.pk, WaitingFor.DISPATCHER)
        run.waiting_for, run.waiting_since = word, _since(run, word)  # type: ignore[attr-defined]


def counted(execution: Execution) -> dict[WaitingFor, int]:
    """How many of the execution's runs wait for what, by the rules of `explain`, most first; counted
    by the database in one query."""
    return counted_of_each([execution.pk]).get(execution.pk, {})


def counted_of_each(execution_ids: Iterable[UUID]) -> dict[UUID, dict[WaitingFor, int]]:
    """The same of many executions in one query; one that nothing waits in is left out."""
    ids = list(execution_ids)
    waiting = DeviceRun.objects.unstarted().filter(execution__in=ids).order_by()
    rows = waiting.annotate(reason=_reason(ids)).values_list("execution", "reason")
    found: dict[UUID, dict[WaitingFor, int]] = {}
    for pk, word, number in rows.annotate(number=Count("pk")).order_by("-number", "reason"):
        found.setdefault(pk, {})[WaitingFor(word)] = number
    return found


def with_words(runs: DeviceRunQuerySet, execution_ids: Collection[UUID]) -> DeviceRunQuerySet:
    """The same runs, of these executions, with what `explain` would ask the database for."""
    return runs.annotate(word=_reason(execution_ids))


def _words(runs: Sequence[DeviceRun]) -> dict[UUID, WaitingFor]:
    reason = _reason({run.execution_id for run in runs})
    rows = DeviceRun.objects.filter(pk__in=[run.pk for run in runs]).order_by()
    return {
        pk: WaitingFor(word) for pk, word in rows.annotate(word=reason).values_list("pk", "word")
    }


def _since(run: DeviceRun, word: WaitingFor) -> datetime:
    """Nothing is waited for before the run was made, nor a device that is here before it came."""
    made, execution, device = run.created_at, run.execution, run.device
    if word in (WaitingFor.RECOVERY, WaitingFor.EARLIER_WAVE, WaitingFor.RETRY_BACKOFF):
        return made
    if word == WaitingFor.ROLLOUT_PAUSED:
        return max(execution.rollout_paused_at or made, made)
    if word == WaitingFor.SOAKING:
        return max(execution.wave_closed_at or made, made)
    begun = run.claimed_at or run.queued_at or max(made, run.not_before or made)
    if device is None or (run.status == "pending" and word != WaitingFor.DEVICE_OFFLINE):
        return begun
    changed_at = device.online_changed_at if device.is_online else device.last_seen_at
    return max(changed_at or begun, begun)


def _reason(execution_ids: Collection[UUID]) -> Case:
    """What a run of these executions waits for: the first that holds."""
    rules = [When(condition, then=Value(word.value)) for condition, word in _rules(execution_ids)]
    return Case(*rules, default=Value(WaitingFor.AGENT.value))


def _rules(execution_ids: Collection[UUID]) -> list[tuple[Q, WaitingFor]]:
    # Sets, found once: by the run, the slots would be counted anew for each of 50,000.
    soaking, full = _soaking(execution_ids), _full(execution_ids)
    is_later = Q(status="pending", wave__gt=Greatest(1, F("execution__open_wave")))
    is_paused = Q(execution__rollout_paused_at__isnull=False)
    wave_is_over = Q(execution__wave_closed_at__isnull=False)
    has_no_slot = Q(status="pending") | Q(has_slot=False)
    return [
        (Q(device__in_recovery=True), WaitingFor.RECOVERY),
        (Q(status="claimed", device__is_online=False), WaitingFor.DEVICE_OFFLINE),
        (Q(status="claimed"), WaitingFor.AGENT),
        (is_later & wave_is_over & is_paused, WaitingFor.ROLLOUT_PAUSED),
        (is_later & Q(execution__in=soaking), WaitingFor.SOAKING),
        (is_later & wave_is_over, WaitingFor.DISPATCHER),
        (is_later, WaitingFor.EARLIER_WAVE),
        (is_paused, WaitingFor.ROLLOUT_PAUSED),
        (Q(status="pending", not_before__gt=timezone.now()), WaitingFor.RETRY_BACKOFF),
        (Q(device__is_online=False), WaitingFor.DEVICE_OFFLINE),
        (has_no_slot & Q(execution__in=full), WaitingFor.CONCURRENCY_LIMIT),
        (has_no_slot, WaitingFor.DISPATCHER),
        (Q(device__is_ready=False), WaitingFor.AGENT_NOT_READY),
        (_device_is_busy(), WaitingFor.DEVICE_BUSY),
    ]


def _soaking(execution_ids: Collection[UUID]) -> QuerySet[Any, Any]:
    closed = Execution.objects.filter(pk__in=execution_ids, wave_closed_at__isnull=False)
    soaking = closed.alias(until=progress.soaks_until()).filter(until__gt=Now())
    return soaking.order_by().values("pk")


def _full(execution_ids: Collection[UUID]) -> QuerySet[Any, Any]:
    """Those that have as many runs on their way as they may."""
    holding = DeviceRun.objects.filter(progress.HOLDS_SLOT, execution=OuterRef("pk")).order_by()
    used = Subquery(holding.values("execution").annotate(number=Count("pk")).values("number"))
    most = Cast(F("definition__rollout__max_concurrent"), IntegerField())
    asked = Execution.objects.filter(pk__in=execution_ids).alias(used=used, most=most)
    return asked.filter(used__gte=F("most")).order_by().values("pk")


def _device_is_busy() -> Q:
    """As claims see it: as many at work there as may be, or one that must not run beside it."""
    at_work = DeviceRun.objects.filter(device=OuterRef("device"), status__in=AT_WORK)
    most = settings.DEPLOYX_RUNS_PER_DEVICE
    of_its_task = at_work.filter(task_id=OuterRef("task_id"))
    return Q(Exists(at_work[most - 1 : most])) | Q(Q(is_exclusive=True), Exists(of_its_task))
