"""A rule: its occurrences within its bounds, and what there is to say about them."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from scheduling.recurrence import crontab, notes, sentence, warnings
from scheduling.recurrence.config import UNIT_SECONDS
from scheduling.recurrence.instants import LAST, MILLISECOND, SECOND, day_of, micros, moment
from scheduling.recurrence.series import Series
from scheduling.recurrence.wall import instants_on


@dataclass(frozen=True, slots=True)
class Occurrence:
    """`at` is the nominal instant, which identifies it; `due` is when it is to run, `local` what
    the clock of the rule's zone shows at `at`, `note` what daylight saving does to it, or None."""

    at: datetime
    due: datetime
    local: datetime
    note: str | None


@dataclass(frozen=True, slots=True)
class Jitter:
    """A delay in [0, seconds), and shorter than the room there is, that depends on the key and the
    nominal time alone."""

    seconds: int
    key: str

    def delay(self, at: int, room: int | None = None) -> timedelta:
        """In whole milliseconds; `room` in microseconds."""
        if not self.seconds:
            return timedelta(0)
        digest = hashlib.sha256(f"{self.key} {at}".encode(errors="replace")).digest()
        delay = int.from_bytes(digest[:8]) % (self.seconds * 1_000)
        if room is not None and delay * MILLISECOND >= room:
            delay %= max(1, room // MILLISECOND)
        return timedelta(milliseconds=delay)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Instants in microseconds: `start` and `end` count in, `holes` are [from, to), ascending."""

    start: int | None
    end: int | None
    holes: tuple[tuple[int, int], ...]

    @classmethod
    def of(
        cls,
        start_at: datetime | None,
        end_at: datetime | None,
        zone: ZoneInfo,
        excluded: Iterable[date],
    ) -> Bounds:
        spans = sorted(span for day in excluded for span in instants_on(zone, day_of(day)))
        return cls(
            None if start_at is None else micros(start_at),
            None if end_at is None else micros(end_at),
            tuple(_joined(spans)),
        )

    @property
    def are_open(self) -> bool:
        return self.start is None and self.end is None and not self.holes

    def hole_around(self, at: int) -> tuple[int, int] | None:
        place = bisect_right(self.holes, (at, LAST)) - 1
        if place < 0 or at >= self.holes[place][1]:
            return None
        return self.holes[place]

    def until_hole(self, at: int) -> int | None:
        """How long it is from this instant, which lies in none, to the next hole."""
        place = bisect_right(self.holes, (at, LAST))
        return self.holes[place][0] - at if place < len(self.holes) else None


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in seconds that touch, joined; in microseconds."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and joined[-1][1] == start * SECOND:
            joined[-1] = (joined[-1][0], end * SECOND)
        else:
            joined.append((start * SECOND, end * SECOND))
    return joined


@dataclass(frozen=True)
class Rule:
    recurrence_type: str
    config: dict[str, Any]
    zone: ZoneInfo
    anchor: datetime
    series: Series
    bounds: Bounds
    jitter: Jitter

    @property
    def is_by_hand(self) -> bool:
        """Whether it has no time of its own."""
        return self.recurrence_type == "once" and self.config["run_at"] is None

    @property
    def is_counted(self) -> bool:
        """Whether its anchor decides when it runs: two tasks with this rule run at different times."""
        return self.recurrence_type == "interval" or self.config.get("every", 1) != 1

    def next_after(self, after: datetime) -> Occurrence | None:
        """The first occurrence whose nominal time is later than `after`."""
        at = self._next(micros(after))
        return None if at is None else self._occurrence(at)

    def next_runs(self, after: datetime, n: int) -> list[Occurrence]:
        """The first `n` occurrences later than `after`."""
        found: list[Occurrence] = []
        at: int | None = micros(after)
        while len(found) < n and at is not None and (at := self._next(at)) is not None:
            found.append(self._occurrence(at))
        return found

    def latest_between(self, after: datetime, until: datetime) -> Occurrence | None:
        """The last occurrence in (after, until]."""
        at = self._previous(micros(until))
        return None if at is None or at <= micros(after) else self._occurrence(at)

    def count_between(self, after: datetime, until: datetime) -> int:
        """How many occurrences lie in (after, until]."""
        low, high = micros(after), micros(until)
        if self.bounds.start is not None:
            low = max(low, self.bounds.start - 1)
        if self.bounds.end is not None:
            high = min(high, self.bounds.end)
        if low >= high:
            return 0
        number = self.series.count(low, high)
        for start, end in self.bounds.holes:
            inside = max(low, start - 1), min(high, end - 1)
            if inside[0] < inside[1]:
                number -= self.series.count(*inside)
        return number

    def sentence(self) -> str:
        """The rule in words, in the language that is active."""
        return sentence.of(self.recurrence_type, self.config, self.zone.key)

    def warnings(self, now: datetime) -> list[str]:
        """What a person may not have meant, in the language that is active."""
        return warnings.of(self, now)

    def crontab(self) -> tuple[str, str, str, str, str] | None:
        """Minute, hour, day of month, month and weekday as Celery's crontab takes them, where it
        says the rule exactly."""
        if not self.bounds.are_open or self.jitter.seconds:
            return None
        return crontab.of(self.recurrence_type, self.config, self.anchor.astimezone(self.zone))

    def is_excluded(self, at: datetime) -> bool:
        """Whether this instant lies on an excluded date."""
        return self.bounds.hole_around(micros(at)) is not None

    def interval_seconds(self) -> int | None:
        if self.recurrence_type != "interval":
            return None
        return int(self.config["every"]) * UNIT_SECONDS[self.config["unit"]]

    def _occurrence(self, at: int) -> Occurrence:
        nominal = moment(at)
        return Occurrence(
            at=nominal,
            due=nominal + self.jitter.delay(at, self.bounds.until_hole(at)),
            local=nominal.astimezone(self.zone),
            note=notes.of(self.series, at),
        )

    def _next(self, after: int) -> int | None:
        if self.bounds.start is not None:
            after = max(after, self.bounds.start - 1)
        while (at := self.series.next(after)) is not None:
            if self.bounds.end is not None and at > self.bounds.end:
                return None
            hole = self.bounds.hole_around(at)
            if hole is None:
                return at
            after = hole[1] - 1
        return None

    def _previous(self, until: int) -> int | None:
        if self.bounds.end is not None:
            until = min(until, self.bounds.end)
        while (at := self.series.previous(until)) is not None:
            if self.bounds.start is not None and at < self.bounds.start:
                return None
            hole = self.bounds.hole_around(at)
            if hole is None:
                return at
            until = hole[0] - 1
        return None
