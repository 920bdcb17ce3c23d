"""What an expression means, judged by two libraries and by our own reading of crontab(5).

Where they disagree, a table says who differs and why ours is right.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from croniter import CroniterError, croniter
from cronsim import CronSim, CronSimError

from scheduling.recurrence import RuleError
from scheduling.tests.recurrence import reference
from scheduling.tests.recurrence.given import cron, utc

START = utc("2027-01-31 12:34")
END = utc("2068-01-01 00:00")
NUMBER = 30
REFUSED = "refused"
Answer = list[datetime] | str


def ours(expression: str) -> Answer:
    try:
        return [one.at for one in cron(expression).next_runs(START, NUMBER)]
    except RuleError:
        return REFUSED


def by_cronsim(expression: str) -> Answer:
    try:
        return list(islice(CronSim(expression, START), NUMBER))
    except CronSimError:
        return REFUSED


def by_croniter(expression: str, *, as_cron: bool = False) -> Answer:
    """`as_cron`: with its switch for what it calls a bug of cron, and crontab(5) has as the rule."""
    try:
        theirs = croniter(
            expression, START, ret_type=datetime,
            implement_cron_bug=as_cron, max_years_between_matches=60,
        )  # fmt: skip
        return [theirs.get_next() for _ in range(NUMBER)]
    except CroniterError:
        return REFUSED


def by_reference(expression: str) -> Iterator[datetime]:
    """All of them up to END, by trying every day."""
    given = reference.Cron(expression)
    day, times = START.date(), sorted(given.times)
    while day < END.date():
        if given.is_on(day):
            moments = (datetime.combine(day, time, UTC) for time in times)
            yield from (at for at in moments if at > START)
        day += timedelta(days=1)


def assert_as_the_reference_has_it(expression: str) -> None:
    found = ours(expression)
    assert isinstance(found, list), expression
    expected = list(islice(by_reference(expression), NUMBER))
    assert [at for at in found if at < END] == expected, expression


# Made up at random, the same ones each time


def _common(dice: random.Random) -> str:
    """What all of them know: lists of numbers, names, ranges and steps, and L alone."""
    return " ".join(
        [
            _field(dice, 0, 59),
            _field(dice, 0, 23),
            _field(dice, 1, 31, special=("L",)),
            _field(dice, 1, 12, names=reference.MONTHS),
            _field(dice, 0, 6, names=reference.WEEKDAYS),
        ]
    )


def _field(
    dice: random.Random,
    low: int,
    high: int,
    *,
    names: Sequence[str] = (),
    special: Sequence[str] = (),
) -> str:
    kind = dice.random()
    if kind < 0.3:
        return "*"
    if kind < 0.45:
        return f"*/{dice.randint(1, high)}"
    if special and kind < 0.55:
        return dice.choice(special)
    return ",".join(_part(dice, low, high, names) for _ in range(dice.randint(1, 3)))


def _part(dice: random.Random, low: int, high: int, names: Sequence[str]) -> str:
    kind = dice.random()
    if kind < 0.5:
        number = dice.randint(low, high)
        return names[number - low] if names and dice.random() < 0.4 else str(number)
    first, last = sorted(dice.sample(range(low, high + 1), 2))
    return f"{first}-{last}" if kind < 0.8 else f"{first}-{last}/{dice.randint(1, 9)}"


def _whole(dice: random.Random) -> str:
    """Everything an expression may have: croniter does not know it all."""
    minute, hour, day, month, weekday = _common(dice).split()
    start = dice.randint(0, 30)
    extra_days = ("LW", "1,LW", "L,15", f"{start + 1}/3", f"{start + 1}")
    extra_weekdays = ("5L", "2#2", "fri#1,1", "0L,3", "7", "5-7", "1/2", "0,7#5", "sun#4,satL")
    return " ".join(
        [
            dice.choice([minute, f"{start}/{dice.randint(1, 20)}"]),
            dice.choice([hour, f"{dice.randint(0, 20)}/{dice.randint(1, 9)}"]),
            dice.choice([day, dice.choice(extra_days)]),
            month,
            dice.choice([dice.choice(extra_weekdays), weekday]),
        ]
    )


def _some(make: Callable[[random.Random], str], seed: int, number: int) -> list[str]:
    dice = random.Random(seed)
    return [make(dice) for _ in range(number)]


@pytest.mark.parametrize("seed", range(8))
def test_all_agree_about_what_all_of_them_know(seed: int) -> None:
    for expression in _some(_common, seed, 40):
        found = ours(expression)
        assert by_cronsim(expression) == found, expression
        assert by_croniter(expression, as_cron=True) == found, expression
        if found != REFUSED:
            assert_as_the_reference_has_it(expression)


@pytest.mark.parametrize("seed", range(4))
def test_the_whole_of_it_is_as_cronsim_and_the_reference_have_it(seed: int) -> None:
    for expression in _some(_whole, seed, 40):
        assert by_cronsim(expression) == ours(expression), expression
        if by_cronsim(expression) != REFUSED:
            assert_as_the_reference_has_it(expression)


AGREED = """
    0 0 * * 0;  0 0 * * 7;  0 0 * * 00;  0 0 * * 0-7;  0 0 * * 5-7;  0 0 * * sun;  0 0 * * mon-fri
    0 0 13 * 5;  0 0 1,15 * 1;  0 0 1-31 * 1;  0 0 L * 1;  0 0 1-7 * 1;  0 0 28-31 * 0
    0 0 L * *;  0 0 l * *;  0 0 1,L * *;  0 0 L 2 *;  0 0 29 2 *;  0 0 31 * *;  0 0 */31 * *
    0 0 * * 2#2;  0 0 * * tue#2;  0 0 * * 2#5;  0 0 * * 7#1;  0 0 * * * ;  5 4 * * sun
    0/15 * * * *;  5/15 * * * *;  0 3/4 * * *;  0 0 1/1 * *;  */59 * * * *;  0-59/7 0-23/5 * * *
    0 0 * jan,MAR *;  0 0 * */5 *;  0 0 * 2-12/2 5;  59 23 31 12 5;  00 00 01 01 *;  0 0 * * 1-5/2
    *,5 * * * *;  0,*/20 * * * *;  */20,7 3 * * *;  0 0 1 1 *
"""
REFUSED_BY_ALL = """
    60 0 * * *;  0 24 * * *;  0 0 0 * *;  0 0 32 * *;  0 0 * 0 *;  0 0 * 13 *;  0 0 * * 8;  0 0 * * 2#6
    */0 * * * *;  -1 * * * *;  1- * * * *;  1,,2 * * * *;  */-5 * * * *;  1.5 * * * *;  *-5 * * * *
    0 0 * * *L;  0 0 * january *;  0 0 L-3 * *;  0 0 * *;  @reboot;  @every 5m;  0 0 31 2 1x
"""


def _listed(text: str) -> list[str]:
    return [one.strip() for line in text.strip().splitlines() for one in line.split(";") if one]


@pytest.mark.parametrize("expression", _listed(AGREED))
def test_all_agree_about(expression: str) -> None:
    assert ours(expression) == by_cronsim(expression) == by_croniter(expression)
    assert_as_the_reference_has_it(expression)


@pytest.mark.parametrize("expression", _listed(REFUSED_BY_ALL))
def test_all_refuse(expression: str) -> None:
    assert ours(expression) == by_cronsim(expression) == by_croniter(expression) == REFUSED


# Where they disagree. "both": cronsim and croniter.

A_STAR = (
    "crontab(5): day of month and day of week are both to fit where either field starts with a"
    " star; croniter does so only with implement_cron_bug."
)
NO_WRAP = "crontab(5): the first of a range is less than its second; croniter runs over the end."
NEVER = "There is no such day: croniter only finds out when asked for a run."
LAST_WEEKDAY = "croniter writes nL as Ln, which nobody else reads."
NTH = "croniter does not take nth weekdays and plain ones in one list; we run on either."
QUARTZ = "Quartz's, which cron does not know; recurrence.md has L and # alone."
MACRO = "cronsim has no macros; recurrence.md and crontab(5) have."
CHANCE = "croniter's own: a random minute. An occurrence has to be the same on each node."
DISAGREEMENTS = [
    ("0 0 */2 * 1", "croniter", A_STAR),
    ("0 0 */1 * 1", "croniter", A_STAR),
    ("0 0 1 * */1", "croniter", A_STAR),
    ("0 0 1-7 * */1", "croniter", A_STAR),
    ("0 0 13 * */5", "croniter", A_STAR),
    ("0 0 29 2 */7", "croniter", A_STAR),
    ("0 0 5,* * 1", "croniter", "Vixie looks at the first sign alone: no star, so either fits."),
    ("0 0 1 * 1#1", "croniter", "Two restricted day fields: crontab(5) has either, croniter both."),
    ("0 0 31 * 1#5", "croniter", "Two restricted day fields: either, as above."),
    (
        "0 0 * * 1/2",
        "croniter",
        "From 1 to the field's end, which is 7, Sunday; croniter ends at 6.",
    ),
    (
        "0 16-16/9 * * *",
        "croniter",
        "A range of one hour is that hour; croniter goes on to the end.",
    ),
    ("0 0 LW * *", "croniter", "The last working day, as cronsim has it; croniter knows only L."),
    ("0 0 LW * 1", "croniter", "The same, with a weekday."),
    ("0 0 * * 5L", "croniter", LAST_WEEKDAY),
    ("0 0 * * 7L", "croniter", LAST_WEEKDAY),
    ("0 0 * * L5", "croniter", LAST_WEEKDAY),
    ("0 0 * * 1L,3", "croniter", LAST_WEEKDAY),
    ("0 0 * * 1#1,3", "croniter", NTH),
    ("0 0 30 2 *", "none", NEVER),
    ("0 0 31 4 *", "none", NEVER),
    ("5-1 * * * *", "croniter", NO_WRAP),
    ("0 22-4 * * *", "croniter", NO_WRAP),
    ("0 0 25-5 * *", "croniter", NO_WRAP),
    ("0 0 * nov-feb *", "croniter", NO_WRAP),
    ("0 0 * * sat-sun", "croniter", "The same; 6,0 and 6-7 say it in cron's way."),
    ("0 0 * * 6-0", "croniter", NO_WRAP),
    ("0 0 15W * *", "croniter", QUARTZ),
    ("0 0 ? * 1", "croniter", QUARTZ),
    ("* * * * ?", "croniter", QUARTZ),
    ("R * * * *", "croniter", CHANCE),
    ("R(0-5) * * * *", "croniter", CHANCE),
    ("* * * * * *", "both", "Seconds: cron runs once a minute at most."),
    ("@hourly", "cronsim", MACRO),
    ("@daily", "cronsim", MACRO),
    ("@midnight", "cronsim", MACRO),
    ("@weekly", "cronsim", MACRO),
    ("@monthly", "cronsim", MACRO),
    ("@yearly", "cronsim", MACRO),
    ("@annually", "cronsim", MACRO),
]


@pytest.mark.parametrize(("expression", "who", "why"), DISAGREEMENTS)
def test_this_one_differs_and_ours_is_right(expression: str, who: str, why: str) -> None:
    found = ours(expression)
    assert (by_cronsim(expression) != found) is (who in ("cronsim", "both")), why
    assert (by_croniter(expression) != found) is (who in ("croniter", "both")), why
    if found != REFUSED:
        assert_as_the_reference_has_it(expression)


@pytest.mark.parametrize("expression", [one for one, _who, why in DISAGREEMENTS if why == A_STAR])
def test_with_its_switch_croniter_does_as_cron_does(expression: str) -> None:
    assert by_croniter(expression, as_cron=True) == ours(expression)


# The same at the changes of clocks: expression, zone, a day before, the run of one side alone, why

TWICE = "A fixed time that comes twice runs once (Debian's cron); croniter runs it both times."
LEFT_OUT = "With a star only what the clock shows runs; croniter runs what was jumped over."
AT_CHANGES = [
    ("30 2 * * *", "Europe/Berlin", "2027-03-27 12:00", [], []),
    ("*/30 * * * *", "Europe/Berlin", "2027-03-27 12:00", [], []),
    ("*/30 2 * * *", "Europe/Berlin", "2027-03-27 12:00", [], [("28 01:00", LEFT_OUT)]),
    ("30 2 * * *", "Europe/Berlin", "2027-10-30 12:00", [], [("31 01:30", TWICE)]),
    ("30 1,2,3 * * *", "Europe/Berlin", "2027-10-30 12:00", [], [("31 01:30", TWICE)]),
    ("*/30 2 * * *", "Europe/Berlin", "2027-10-30 12:00", [], []),
    (
        "5,*/30 2 * * *",
        "Europe/Berlin",
        "2027-10-30 12:00",
        [],
        [("31 01:00", TWICE), ("31 01:05", TWICE), ("31 01:30", TWICE)],
    ),
    ("30 2 * * *", "America/New_York", "2027-03-13 12:00", [], []),
    ("0 1 * * *", "America/New_York", "2027-11-06 12:00", [], [("07 06:00", TWICE)]),
    ("30 0 * * *", "America/Havana", "2025-11-01 12:00", [], [("02 05:30", TWICE)]),
    ("15 2 * * *", "Australia/Lord_Howe", "2027-10-01 20:00", [], []),
    ("45 1 * * *", "Australia/Lord_Howe", "2027-04-02 20:00", [], [("03 15:15", TWICE)]),
    (
        "*/30 2 * * *",
        "Australia/Lord_Howe",
        "2027-04-02 20:00",
        [("03 15:30", "The clock goes from 01:59 to 01:30 and shows 02:00 once; cronsim never.")],
        [],
    ),
    ("*/30 2 * * *", "Pacific/Apia", "2011-12-29 02:00", [], [("30 10:00", LEFT_OUT)]),
    ("0 12 * * *", "Pacific/Apia", "2011-12-29 02:00", [], []),
    ("30 2 * * *", "Africa/Casablanca", "2026-02-14 12:00", [], [("15 02:30", TWICE)]),
    ("30 2 * * *", "Africa/Casablanca", "2026-03-21 12:00", [], []),
]


@pytest.mark.parametrize(("expression", "zone", "after", "sim", "iter_"), AT_CHANGES)
def test_at_a_change_of_clocks_they_differ_in_this_alone(
    expression: str,
    zone: str,
    after: str,
    sim: list[tuple[str, str]],
    iter_: list[tuple[str, str]],
) -> None:
    start, until = utc(after), utc(after) + timedelta(days=3)
    local = start.astimezone(ZoneInfo(zone))
    found = {one.at for one in cron(expression, zone).next_runs(start, 200) if one.at < until}
    theirs = croniter(expression, local, ret_type=datetime)
    assert _apart(found, _until(until, theirs.get_next)) == [at for at, _ in iter_]
    simulated = CronSim(expression, local)
    assert _apart(found, _until(until, lambda: next(simulated))) == [at for at, _ in sim]


def _until(until: datetime, following: Callable[[], datetime]) -> set[datetime]:
    found = set()
    while (at := following().astimezone(UTC)) < until:
        found.add(at)
    return found


def _apart(found: set[datetime], theirs: set[datetime]) -> list[str]:
    return [f"{at:%d %H:%M}" for at in sorted(found ^ theirs)]
