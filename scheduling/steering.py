"""What can be done with an execution now, and how its waves stand: facts for whoever shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Q, TextChoices
from django.utils.translation import gettext_lazy as _

from scheduling import progress
from scheduling.models import DeviceRun, Execution
from scheduling.options import TRANSACTIONAL, Retry, Rollout

# Before and after the open one; a rollout of one device a wave has thousands.
WAVES_BEFORE, WAVES_AFTER = 3, 6

RETRIABLE = Q(progress.COUNTED, device__isnull=False, device__revoked_at=None)
RETRIED_BY_DEFAULT = tuple(
    status
    for status in DeviceRun.Status.values
    if status not in (*DeviceRun.UNENDED, "succeeded", "lost")
)
# Of the lost nobody knows whether it ran: they are retried where somebody says so.
FAILED = tuple(status for status in DeviceRun.AGAINST if status != "lost")


@dataclass(frozen=True, slots=True)
class Possible:
    """Which verbs are accepted now, and the numbers that decide it.

    `unstarted` is what an abort skips, `running` what it lets finish, `offline` those of the
    unstarted whose device is away, `undoing` the rollbacks that have not ended, `again` the devices
    on which it failed and may be retried, `counts` the devices in each state and `runs` all attempts
    and rollbacks.
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
    again: int
    counts: Mapping[str, int]
    runs: int

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
    """In one query, or two where it has ended. Verbs ask again, under the execution's lock."""
    by_status = _numbers(execution)
    again = _unsuccessful(execution) if execution.has_ended else {}
    total = {name: sum(row.get(name, 0) for row in by_status.values()) for name in _SUMMED}
    unstarted = sum(by_status.get(one, {}).get("onward", 0) for one in DeviceRun.UNSTARTED)
    running = by_status.get("running", {}).get("onward", 0)
    undoing = sum(by_status.get(one, {}).get("undoing", 0) for one in DeviceRun.UNENDED)
    goes_on = execution.status == Execution.Status.RUNNING
    waits = unstarted > 0 or (running > 0 and _may_go_on(execution))
    return Possible(
        pause=goes_on and execution.rollout_paused_at is None and (waits or undoing > 0),
        resume=goes_on and execution.rollout_paused_at is not None,
        promote=goes_on and total["later"] > 0,
        abort=goes_on and waits and execution.abort_requested_at is None,
        cancel=not execution.has_ended,
        retry=execution.has_ended and bool(again),
        unstarted=unstarted,
        running=running,
        offline=total["offline"],
        undoing=undoing,
        waves=max((row["last_wave"] for row in by_status.values()), default=0),
        has_later_wave=total["later"] > 0,
        again=sum(again.get(one, 0) for one in FAILED),
        counts={one: by_status.get(one, {}).get("devices", 0) for one in DeviceRun.Status.values},
        runs=total["onward"] + total["undoing"],
    )


_SUMMED = ("onward", "undoing", "offline", "later")
_AWAY = progress.COUNTED & progress.WAITS_OFFLINE


def _numbers(execution: Execution) -> dict[str, dict[str, int]]:
    """What `possible` counts, by the state of the runs."""
    # The first wave opens by itself.
    later = Q(status="pending", wave__gt=max(1, execution.open_wave))
    rows = execution.runs.order_by().values("status")
    counted: Any = rows.annotate(
        devices=Count("pk", filter=progress.COUNTED),
        onward=Count("pk", filter=Q(rolls_back=None)),
        undoing=Count("pk", filter=Q(rolls_back__isnull=False)),
        later=Count("pk", filter=later),
        last_wave=Max("wave"),
        # Only these ask for the devices, and either has nothing to count in the other's time.
        **({} if execution.has_ended else {"offline": Count("pk", filter=_AWAY)}),
    )
    return {row["status"]: row for row in counted}


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
    numbers = _retriable(execution, DeviceRun.Status.values)
    return {status: numbers[status] for status in DeviceRun.Status.values if status in numbers}


def _unsuccessful(execution: Execution) -> dict[str, int]:
    """The same of those that did not succeed."""
    others = [one for one in DeviceRun.Status.values if one != DeviceRun.Status.SUCCEEDED]
    return _retriable(execution, others)


def _retriable(execution: Execution, statuses: Sequence[str]) -> dict[str, int]:
    rows = execution.runs.filter(RETRIABLE, status__in=statuses).order_by().values_list("status")
    return dict(rows.annotate(number=Count("pk")))


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
    if execution.rollout_paused_at is not None:
        return None
    return progress.soaked_at(execution, execution.wave_closed_at)
