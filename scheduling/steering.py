"""What can be done with an execution now, and how its waves stand: facts for whoever shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db.models import Count, Max, Q, TextChoices
from django.utils.translation import gettext_lazy as _

from scheduling import progress
from scheduling.models import DeviceRun, Execution
from scheduling.options import TRANSACTIONAL, Retry, Rollout

if TYPE_CHECKING:
    from typing import Any

# Before and after the open one; a rollout of one device a wave has thousands.
WAVES_BEFORE, WAVES_AFTER = 3, 6

RETRIABLE = Q(progress.COUNTED, device__isnull=False, device__revoked_at=None)
RETRIED_BY_DEFAULT = tuple(
    status
    for status in DeviceRun.Status.values
    if status not in (*DeviceRun.UNENDED, "succeeded", "lost")
)


@dataclass(frozen=True, slots=True)
class Possible:
    """Which verbs are accepted now, and the numbers that decide it.

    `unstarted` is what an abort skips, `running` what it lets finish, `offline` those of the
    unstarted whose device is away, `undoing` the rollbacks that have not ended.
    """

    pause: bool
    resume: bool
    promote: bool
    abort: bool
    cancel: bool
    retry: bool
    unstarted: int
    running: int
    offline: int
    undoing: int
    waves: int
    has_later_wave: bool

    @property
    def anything(self) -> bool:
        return self.cancel or self.retry


class WaveState(TextChoices):
    ENDED = "ended", _("Ended")
    OPEN = "open", _("Under way")
    SOAKING = "soaking", _("Soaking")
    WAITING = "waiting", _("Waiting")


@dataclass(frozen=True, slots=True)
class Wave:
    """`soaks_until` is when the next wave goes by itself, where this one is being watched."""

    number: int
    counts: Mapping[str, int]
    status: str
    soaks_until: datetime | None

    Status = WaveState
    TONES = {"ended": "still", "open": "busy", "soaking": "held", "waiting": "wait"}  # noqa: RUF012

    @property
    def devices(self) -> int:
        return sum(self.counts.values())

    @property
    def has_ended(self) -> bool:
        return not any(self.counts.get(status) for status in DeviceRun.UNENDED)


@dataclass(frozen=True, slots=True)
class Waves:
    """Those around the open one, of all there are."""

    shown: list[Wave]
    total: int

    @property
    def is_part(self) -> bool:
        return len(self.shown) < self.total


def possible(execution: Execution) -> Possible:
    """In one query. Verbs ask again, under the execution's lock."""
    # The first wave opens by itself.
    later = Q(status="pending", wave__gt=max(1, execution.open_wave))
    numbers: dict[str, Any] = execution.runs.aggregate(
        unstarted=Count("pk", filter=Q(status__in=DeviceRun.UNSTARTED, rolls_back=None)),
        running=Count("pk", filter=Q(status="running", rolls_back=None)),
        undoing=Count("pk", filter=Q(status__in=DeviceRun.UNENDED, rolls_back__isnull=False)),
        offline=Count("pk", filter=progress.COUNTED & progress.WAITS_OFFLINE),
        later=Count("pk", filter=later),
        retriable=Count("pk", filter=RETRIABLE & ~Q(status="succeeded")),
        waves=Max("wave", default=0),
    )
    goes_on = execution.status == Execution.Status.RUNNING
    waits = numbers["unstarted"] > 0 or (numbers["running"] > 0 and _may_go_on(execution))
    has_later_wave = numbers["later"] > 0
    return Possible(
        pause=goes_on and execution.rollout_paused_at is None and (waits or numbers["undoing"] > 0),
        resume=goes_on and execution.rollout_paused_at is not None,
        promote=goes_on and has_later_wave,
        abort=goes_on and waits and execution.abort_requested_at is None,
        cancel=not execution.has_ended,
        retry=execution.has_ended and numbers["retriable"] > 0,
        unstarted=numbers["unstarted"],
        running=numbers["running"],
        offline=numbers["offline"],
        undoing=numbers["undoing"],
        waves=numbers["waves"],
        has_later_wave=has_later_wave,
    )


def _may_go_on(execution: Execution) -> bool:
    """Whether a run's end may have another run follow on its device."""
    rollout = Rollout.parse(execution.definition["rollout"])
    retry = Retry.parse(execution.definition["retry"])
    return rollout.strategy == TRANSACTIONAL or retry.max_attempts > 1


def waves(execution: Execution, can: Possible) -> Waves | None:
    """The waves around the open one, in one query; None where there are no two."""
    if can.waves < 2:
        return None
    first = max(1, min(execution.open_wave - WAVES_BEFORE, can.waves - WAVES_BEFORE - WAVES_AFTER))
    near = (first, first + WAVES_BEFORE + WAVES_AFTER)
    rows = (
        execution.runs.filter(progress.COUNTED, wave__range=near)
        .order_by("wave")
        .values_list("wave", "status")
        .annotate(runs=Count("pk"))
    )
    by_wave: dict[int, dict[str, int]] = {}
    for number, status, runs in rows:
        by_wave.setdefault(number, {})[status] = runs
    soaks_until = _soaks_until(execution, can)
    shown = [_wave(execution, number, by, soaks_until) for number, by in by_wave.items()]
    return Waves(shown, can.waves)


def retriable(execution: Execution) -> dict[str, int]:
    """How many devices a retry may go to, by the state they ended in; states without any left out."""
    rows = execution.runs.filter(RETRIABLE).order_by().values_list("status")
    numbers = dict(rows.annotate(number=Count("pk")))
    return {status: numbers[status] for status in DeviceRun.Status.values if status in numbers}


def touched(execution: Execution, wave: int | None = None) -> tuple[int, int]:
    """What a cancel stops where it runs, and what it keeps from starting."""
    runs = execution.runs.all() if wave is None else execution.runs.filter(wave=wave)
    numbers = runs.aggregate(
        running=Count("pk", filter=Q(status="running")),
        unstarted=Count("pk", filter=Q(status__in=DeviceRun.UNSTARTED)),
    )
    return numbers["running"], numbers["unstarted"]


def _wave(
    execution: Execution, number: int, by_status: Mapping[str, int], soaks_until: datetime | None
) -> Wave:
    unended = any(by_status.get(status) for status in DeviceRun.UNENDED)
    if execution.open_wave == number and soaks_until is not None:
        return Wave(number, by_status, WaveState.SOAKING, soaks_until)
    if not unended:
        return Wave(number, by_status, WaveState.ENDED, None)
    state = WaveState.OPEN if number <= execution.open_wave else WaveState.WAITING
    return Wave(number, by_status, state, None)


def _soaks_until(execution: Execution, can: Possible) -> datetime | None:
    """When the next wave may go, where the open one is closed and one is left to go."""
    if execution.wave_closed_at is None or not can.has_later_wave or execution.has_ended:
        return None
    rollout = Rollout.parse(execution.definition["rollout"])
    return execution.wave_closed_at + timedelta(seconds=rollout.soak_seconds)
