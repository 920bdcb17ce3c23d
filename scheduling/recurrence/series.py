"""Series of nominal times without bounds. Instants are microseconds since 1970."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import Protocol
from zoneinfo import ZoneInfo

from scheduling.recurrence.days import Days
from scheduling.recurrence.instants import (
    DAY,
    FIRST,
    FIRST_DAY,
    LAST,
    LAST_DAY,
    SECOND,
    within_range,
)
from scheduling.recurrence.wall import Piece, changes, pieces

_GAP_DAYS_LOOKED_AT = 400


class Series(Protocol):
    def next(self, after: int) -> int | None:
        """The first instant after this one."""
        ...

    def previous(self, until: int) -> int | None:
        """The last instant up to this one."""
        ...

    def count(self, after: int, until: int) -> int:
        """How many lie in (after, until]."""
        ...

    def shortest_gap(self, since: int) -> int | None:
        """The shortest time between two that follow each other, or None where there is no pair."""
        ...


class Moments:
    """At most one instant."""

    def __init__(self, at: int | None) -> None:
        self._at = at

    def next(self, after: int) -> int | None:
        return self._at if self._at is not None and self._at > after else None

    def previous(self, until: int) -> int | None:
        return self._at if self._at is not None and self._at <= until else None

    def count(self, after: int, until: int) -> int:
        return int(self._at is not None and after < self._at <= until)

    def shortest_gap(self, since: int) -> int | None:
        return None


class Elapsed:
    """Every `length` from `first` on, whatever the clocks on the wall do."""

    def __init__(self, first: int, length: int) -> None:
        self._first, self._length = first, length

    def next(self, after: int) -> int | None:
        at = self._first + self._number(max(after, FIRST - 1)) * self._length
        return at if at <= LAST else None

    def previous(self, until: int) -> int | None:
        number = self._number(min(until, LAST))
        at = self._first + (number - 1) * self._length
        return at if number and at >= FIRST else None

    def count(self, after: int, until: int) -> int:
        return max(0, self._number(min(until, LAST)) - self._number(max(after, FIRST - 1)))

    def _number(self, until: int) -> int:
        """How many there are up to this instant."""
        return max(0, (until - self._first) // self._length + 1)

    def shortest_gap(self, since: int) -> int | None:
        return self._length


class OnTheWall:
    """Certain times (seconds of the day, ascending) on certain days of a zone's wall clock.

    A time that is jumped over runs when the clock jumps, one that comes twice runs the first time.
    With `as_shown` it runs whenever the clock shows it: not at all, or twice (Debian cron's way
    with `*`).
    """

    def __init__(
        self, zone: ZoneInfo, days: Days, times: tuple[int, ...], *, as_shown: bool = False
    ) -> None:
        self.zone, self.as_shown = zone, as_shown
        self._days, self._times = days, times
        # The latest answers: from or up to the first of the pair, the second is the next day.
        self._ahead, self._behind = (0, -1), (0, 1)

    def next(self, after: int) -> int | None:
        start = max(after, FIRST - 1) // SECOND + 1
        while start <= LAST // SECOND:
            # Three days hold the next wall time wherever the jump below put the start.
            end = start + 3 * DAY
            for piece in pieces(self.zone, start, end):
                if (found := self._first_in(piece)) is not None:
                    return found * SECOND if found * SECOND <= LAST else None
            wall = self.next_wall(end - DAY)
            if wall is None:
                return None
            # A wall clock is less than a day away from UTC.
            start = max(end, wall - 2 * DAY)
        return None

    def previous(self, until: int) -> int | None:
        end = min(until, LAST) // SECOND + 1
        while end > FIRST // SECOND:
            start = end - 3 * DAY
            for piece in reversed(list(pieces(self.zone, start, end))):
                if (found := self._last_in(piece)) is not None:
                    return found * SECOND if found * SECOND >= FIRST else None
            wall = self.previous_wall(start + DAY)
            if wall is None:
                return None
            end = min(start, wall + 2 * DAY + 1)
        return None

    def count(self, after: int, until: int) -> int:
        start, end = max(after, FIRST - 1) // SECOND + 1, min(until, LAST) // SECOND + 1
        if start >= end:
            return 0
        return sum(self._count_in(piece) for piece in pieces(self.zone, start, end))

    def shortest_gap(self, since: int) -> int | None:
        """Looks at the days of the week, month or year, and at two years of changing clocks."""
        gaps = [later - earlier for earlier, later in self._neighbours(since)]
        return min(gaps, default=None)

    # Wall times, whatever the zone does

    def next_wall(self, wall: int) -> int | None:
        """The first wall time from this one on."""
        day, second = divmod(wall, DAY)
        found = self._next_day(day)
        if found != day or second <= self._times[0]:
            return None if found is None else found * DAY + self._times[0]
        place = bisect_left(self._times, second)
        if place < len(self._times):
            return day * DAY + self._times[place]
        found = self._next_day(day + 1)
        return None if found is None else found * DAY + self._times[0]

    def previous_wall(self, wall: int) -> int | None:
        """The last wall time up to this one."""
        day, second = divmod(wall, DAY)
        found = self._previous_day(day)
        if found == day and (place := bisect_right(self._times, second)):
            return day * DAY + self._times[place - 1]
        if found == day:
            found = self._previous_day(day - 1)
        return None if found is None else found * DAY + self._times[-1]

    def has_wall(self, start: int, end: int) -> bool:
        """Whether a wall time lies in [start, end)."""
        wall = self.next_wall(start)
        return wall is not None and wall < end

    def _count_walls(self, start: int, end: int) -> int:
        number, day = 0, self._next_day(start // DAY)
        while day is not None and day * DAY < end:
            low = bisect_left(self._times, start - day * DAY)
            number += bisect_left(self._times, end - day * DAY) - low
            day = self._next_day(day + 1)
        return number

    def _next_day(self, day: int) -> int | None:
        since, known = self._ahead
        if since <= day <= known:
            return known
        found = self._days.next(max(day, FIRST_DAY)) if day <= LAST_DAY else None
        if found is None or found > LAST_DAY:
            return None
        self._ahead = (day, found)
        return found

    def _previous_day(self, day: int) -> int | None:
        until, known = self._behind
        if known <= day <= until:
            return known
        found = self._days.previous(min(day, LAST_DAY)) if day >= FIRST_DAY else None
        if found is None or found < FIRST_DAY:
            return None
        self._behind = (day, found)
        return found

    # Wall times in a piece of constant offset

    def _walls(self, piece: Piece) -> tuple[bool, int, int]:
        """Whether it runs as the piece starts for what was jumped over, and the wall times [from,
        to) that the piece has beside that."""
        start, end = piece.start + piece.offset, piece.end + piece.offset
        if self.as_shown:
            return False, start, end
        if piece.change is None or not piece.change.jumps_ahead:
            return False, max(start, piece.shown), end
        runs = self.has_wall(piece.shown, start + 1)
        return runs, start + 1, end

    def _first_in(self, piece: Piece) -> int | None:
        runs_at_start, start, end = self._walls(piece)
        if runs_at_start:
            return piece.start
        wall = self.next_wall(start)
        return wall - piece.offset if wall is not None and wall < end else None

    def _last_in(self, piece: Piece) -> int | None:
        runs_at_start, start, end = self._walls(piece)
        wall = self.previous_wall(end - 1)
        if wall is not None and wall >= start:
            return wall - piece.offset
        return piece.start if runs_at_start else None

    def _count_in(self, piece: Piece) -> int:
        runs_at_start, start, end = self._walls(piece)
        return runs_at_start + (self._count_walls(start, end) if start < end else 0)

    # Gaps

    def _neighbours(self, since: int) -> list[tuple[int, int]]:
        """Pairs that follow each other, the closest ones among them."""
        times = [time * SECOND for time in self._times]
        pairs = list(pairwise(times))
        pairs += self._over_night(since // SECOND // DAY)
        start = within_range(since) // SECOND
        for change in changes(self.zone, start, start + 2 * 366 * DAY):
            around = [self.previous(change.at * SECOND - 1)]
            for _ in range(2):
                last = around[-1] if around[-1] is not None else change.at * SECOND - 1
                around.append(self.next(last))
            known = [at for at in around if at is not None]
            pairs += pairwise(known)
        return pairs

    def _over_night(self, day: int) -> list[tuple[int, int]]:
        first, last = self._times[0] * SECOND, self._times[-1] * SECOND
        pairs, earlier = [], self._next_day(day)
        for _ in range(_GAP_DAYS_LOOKED_AT):
            later = None if earlier is None else self._next_day(earlier + 1)
            if earlier is None or later is None:
                break
            pairs.append((earlier * DAY * SECOND + last, later * DAY * SECOND + first))
            if later == earlier + 1:
                break
            earlier = later
        return pairs
