"""How much output may be kept of a run, which depends on how much its whole execution has."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db.models import Sum

from scheduling.ledger.keeping import Tail
from scheduling.models import DeviceRun

AFTERWARDS_PER_RUN = 64 * 1024
LOOK_EVERY_SECONDS = 5.0
MOST_REMEMBERED = 10_000


@dataclass(slots=True)
class _Kept:
    """What an execution's runs keep, as of a moment of the monotonic clock."""

    total: int
    at: float


class Limits:
    """Adding up 10,000 runs at every batch would cost more than the batch: the sum is taken every
    few seconds, and an execution may pass its limit by what it writes meanwhile."""

    def __init__(self) -> None:
        self._known: dict[UUID, _Kept] = {}

    def of(self, tails: Sequence[Tail]) -> dict[UUID, int]:
        """For each run, the bytes it may keep. Where its execution has used up its own, a run that
        has more than 64 KiB keeps as much as it had before this batch."""
        self._look({tail.run.execution_id for tail in tails})
        return {tail.run.pk: self._limit(tail) for tail in tails}

    def _limit(self, tail: Tail) -> int:
        most: int = settings.DEPLOYX_OUTPUT_BYTES_PER_RUN
        known = self._known.get(tail.run.execution_id)
        if known is None or known.total < settings.DEPLOYX_OUTPUT_BYTES_PER_EXECUTION:
            return most
        return min(most, max(AFTERWARDS_PER_RUN, tail.kept_before))

    def _look(self, execution_ids: Iterable[UUID]) -> None:
        now = time.monotonic()
        wanted = [pk for pk in execution_ids if self._is_stale(pk, now)]
        if not wanted:
            return
        if len(self._known) > MOST_REMEMBERED:
            self._known.clear()
        runs = DeviceRun.objects.filter(execution__in=wanted, output_kept__gt=0).order_by()
        sums = runs.values_list("execution").annotate(total=Sum("output_kept"))
        totals = dict(sums.values_list("execution", "total"))
        self._known |= {pk: _Kept(totals.get(pk, 0), now) for pk in wanted}

    def _is_stale(self, execution_id: UUID, now: float) -> bool:
        known = self._known.get(execution_id)
        return known is None or now - known.at > LOOK_EVERY_SECONDS


LIMITS = Limits()
