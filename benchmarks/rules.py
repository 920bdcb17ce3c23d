"""Rules made up at random and changed at random: what the hunt for the slowest one tries."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from scheduling import recurrence, zones

_MOST_EXCLUDED = 366
_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 28, tzinfo=UTC)
Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A rule as one would send it, and the moment after which its runs are asked for."""

    recurrence_type: str
    config: Config
    zone: str
    after: datetime
    anchor: datetime
    start_at: datetime | None = None
    end_at: datetime | None = None
    excluded: tuple[str, ...] = ()

    def rule(self) -> recurrence.Rule:
        """Raises RuleError where the changes made it none."""
        return recurrence.parse(
            self.recurrence_type,
            self.config,
            self.zone,
            anchor=self.start_at or self.anchor,
            start_at=self.start_at,
            end_at=self.end_at,
            excluded_dates=list(self.excluded),
        )

    def sentence(self) -> str:
        said = [
            f"{self.recurrence_type} {self.config}",
            self.zone,
            f"after {self.after:%Y-%m-%d %H:%M}",
        ]
        said.append(f"anchor {self.anchor:%Y-%m-%d}")
        if self.start_at or self.end_at:
            said.append(f"from {self.start_at} to {self.end_at}")
        if self.excluded:
            said.append(f"{len(self.excluded)} excluded dates from {self.excluded[0]}")
        return ", ".join(said)


def any_case(dice: random.Random) -> Case:
    kind = dice.choice(list(_CONFIGS))
    return Case(
        kind, _CONFIGS[kind](dice), dice.choice(zones.names()), _moment(dice), _moment(dice)
    )


def changed(case: Case, dice: random.Random) -> Case:
    """The case with one thing, or a few, different."""
    for _ in range(dice.choice((1, 1, 2, 3))):
        case = dice.choice(_CHANGES)(case, dice)
    return case


# Configs


def _time(dice: random.Random) -> str:
    return f"{dice.randrange(24):02}:{dice.randrange(60):02}"


def _once(dice: random.Random) -> Config:
    return {"run_at": f"{_moment(dice):%Y-%m-%dT%H:%M}"}


def _interval(dice: random.Random) -> Config:
    return {"every": dice.choice((10, 11, 3_600, 10**6)), "unit": "seconds"}


def _daily(dice: random.Random) -> Config:
    return {"time": _time(dice), "every": dice.choice((1, 2, 365, 3_650, dice.randint(1, 3_650)))}


def _weekly(dice: random.Random) -> Config:
    days = dice.sample(range(7), dice.randint(1, 7))
    return {"time": _time(dice), "days_of_week": days, "every": dice.choice((1, 2, 520))}


def _monthly(dice: random.Random) -> Config:
    every = dice.choice((1, 12, 24, 48, 84, 96, 108, 120, dice.randint(1, 120)))
    day: Config
    if dice.random() < 0.4:
        day = {"nth": dice.choice((1, 2, 3, 4, -1)), "weekday": dice.randrange(7)}
    else:
        missing = dice.choice(("skip", "skip", "last"))
        day = {"day_of_month": dice.choice((29, 29, 30, 31, 1, -1)), "missing_day": missing}
    return {"time": _time(dice), **day, "every": every}


def _custom(dice: random.Random) -> Config:
    minute = dice.choice(("*", "0", "59", "*/7", "0-58/2", str(dice.randrange(60))))
    hour = dice.choice(("*", "0", "23", "2", "*/5", str(dice.randrange(24))))
    day = dice.choice(("*", "29", "L", "LW", "31", "*/31", "*/28", "1-7", str(dice.randint(1, 31))))
    month = dice.choice(("*", "2", "2", "2,4", str(dice.randint(1, 12))))
    weekday = dice.choice(("*", "*/7", "*/6", "1#5", "0#1", "5L", "1L,2#5", str(dice.randrange(7))))
    return {"cron_expression": f"{minute} {hour} {day} {month} {weekday}"}


_CONFIGS: dict[str, Callable[[random.Random], Config]] = {
    "once": _once,
    "interval": _interval,
    "daily": _daily,
    "weekly": _weekly,
    "monthly": _monthly,
    "custom": _custom,
}


# Changes


def _moment(dice: random.Random) -> datetime:
    if dice.random() < 0.6:
        return datetime(2027, 1, 1, tzinfo=UTC) + timedelta(minutes=dice.randrange(20 * 525_600))
    return _within(_FIRST + timedelta(days=dice.randrange((_LAST - _FIRST).days)))


def _within(moment: datetime) -> datetime:
    return min(max(moment, _FIRST), _LAST)


def _other_config(case: Case, dice: random.Random) -> Case:
    return replace(case, config=_CONFIGS[case.recurrence_type](dice))


def _mixed_config(case: Case, dice: random.Random) -> Case:
    """One key of another config, or one field of another expression."""
    other = _CONFIGS[case.recurrence_type](dice)
    if case.recurrence_type == "custom":
        fields, others = (one["cron_expression"].split() for one in (case.config, other))
        place = dice.randrange(5)
        fields[place] = others[place]
        return replace(case, config={"cron_expression": " ".join(fields)})
    shared = [name for name in other if name in case.config]
    name = dice.choice(shared) if shared else None
    return replace(case, config=case.config | ({name: other[name]} if name else {}))


def _other_zone(case: Case, dice: random.Random) -> Case:
    return replace(case, zone=dice.choice(zones.names()))


def _other_moment(case: Case, dice: random.Random) -> Case:
    return replace(case, after=_moment(dice))


def _nearby_moment(case: Case, dice: random.Random) -> Case:
    return replace(
        case, after=_within(case.after + timedelta(minutes=dice.randint(-900_000, 900_000)))
    )


def _other_anchor(case: Case, dice: random.Random) -> Case:
    return replace(case, anchor=dice.choice((_moment(dice), case.after)))


def _other_bounds(case: Case, dice: random.Random) -> Case:
    first, last = sorted((_moment(dice), _moment(dice)))
    return replace(case, start_at=dice.choice((None, first)), end_at=dice.choice((None, last)))


def _excluded_days(case: Case, dice: random.Random) -> Case:
    """Days in a row, or every second, third …, from the moment on."""
    step = dice.choice((1, 2, 3, 7, 366))
    first, last = case.after.date(), date(9999, 12, 31)
    days = [
        first + timedelta(days=n * step)
        for n in range(_MOST_EXCLUDED)
        if n * step < (last - first).days
    ]
    return replace(case, excluded=tuple(map(str, days)))


def _excluded_runs(case: Case, dice: random.Random) -> Case:
    """The days of the very next runs, so that the search has to pass over each."""
    found: dict[str, None] = {}
    after, rule = case.after, replace(case, excluded=()).rule()
    while len(found) < _MOST_EXCLUDED and (one := rule.next_after(after)) is not None:
        found[str(one.local.date())] = None
        after = max(one.at, datetime.combine(one.local, time(23, 59, 59), one.local.tzinfo))
    return replace(case, excluded=tuple(found))


def _no_excluded(case: Case, dice: random.Random) -> Case:
    return replace(case, excluded=())


def _fewer_excluded(case: Case, dice: random.Random) -> Case:
    kept = [day for day in case.excluded if dice.random() < 0.9]
    return replace(case, excluded=tuple(kept))


def _another(case: Case, dice: random.Random) -> Case:
    return any_case(dice)


_CHANGES: list[Callable[[Case, random.Random], Case]] = [
    _other_config, _mixed_config, _mixed_config, _other_zone, _other_moment, _nearby_moment,
    _other_anchor, _other_bounds, _excluded_days, _excluded_runs, _no_excluded, _fewer_excluded,
    _another,
]  # fmt: skip
