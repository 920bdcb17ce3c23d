"""How a zone's wall clock runs: pieces of constant offset, parted by changes.

Instants and wall times are seconds since 1970, in UTC and on the wall.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

from scheduling.recurrence.instants import DAY, FIRST, LAST, SECOND, moment


@dataclass(frozen=True, slots=True)
class Change:
    """At this instant the clock jumps ahead (`before` < `after`) or is turned back."""

    at: int
    before: int
    after: int

    @property
    def jumps_ahead(self) -> bool:
        return self.before < self.after

    @property
    def gap(self) -> tuple[int, int]:
        """The wall times [from, to) that are jumped over, or shown twice (then from > to)."""
        return self.at + self.before, self.at + self.after


@dataclass(frozen=True, slots=True)
class Piece:
    """The instants [start, end) share an offset. Wall times before `shown` had been there before.

    `change` is the one at `start`, where the piece starts with one.
    """

    start: int
    end: int
    offset: int
    shown: int
    change: Change | None


def offset_at(zone: ZoneInfo, at: int) -> int:
    at = min(max(at, FIRST // SECOND), LAST // SECOND)
    offset = moment(at * SECOND).astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def changes(zone: ZoneInfo, start: int, end: int) -> list[Change]:
    """The changes in [start, end), oldest first."""
    found = (_change_on(zone, day) for day in range(start // DAY, (end - 1) // DAY + 1))
    return [change for change in found if change is not None and start <= change.at < end]


@lru_cache(maxsize=50_000)
def _change_on(zone: ZoneInfo, day: int) -> Change | None:
    """The change on this day of UTC; no zone has two within a week."""
    low, high = day * DAY - 1, day * DAY + DAY - 1
    before, after = offset_at(zone, low), offset_at(zone, high)
    if before == after:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if offset_at(zone, middle) == before:
            low = middle
        else:
            high = middle
    return Change(high, before, after)


def pieces(zone: ZoneInfo, start: int, end: int) -> Iterator[Piece]:
    """[start, end) cut at the changes, oldest first."""
    # A clock is turned back by a day at most: earlier changes do not matter any more.
    near = changes(zone, start - DAY, end)
    past = [change for change in near if change.at <= start]
    ahead = [change for change in near if change.at > start]
    offset = offset_at(zone, start)
    shown = max((change.at + change.before for change in past), default=start + offset)
    change = past[-1] if past and past[-1].at == start else None
    for following in ahead:
        yield Piece(start, following.at, offset, shown, change)
        start, offset, change = following.at, following.after, following
        shown = following.at + following.before
    yield Piece(start, end, offset, shown, change)


def instants_on(zone: ZoneInfo, day: int) -> list[tuple[int, int]]:
    """The spans [start, end) of instants at which the wall shows this day.

    Usually one; none where the day was skipped, two where the clock is turned back over midnight.
    """
    found = []
    for piece in pieces(zone, (day - 1) * DAY, (day + 2) * DAY):
        start = max(piece.start, day * DAY - piece.offset)
        end = min(piece.end, (day + 1) * DAY - piece.offset)
        if start < end:
            found.append((start, end))
    return found
