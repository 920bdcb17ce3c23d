"""The slowest next occurrence and the slowest preview that a hunt over all kinds of rules finds.

Every search is bounded: the goals are 50 ms and 300 ms for any input. The hunt climbs: it changes the
slowest cases so far at random and keeps what is slower. What it knows of a zone is forgotten before
each try. Seeded, so that it tries the same cases where it takes the same turns. Also the same plain
cron expressions by cronsim and by croniter.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from multiprocessing import get_context
from time import process_time
from typing import Any
from zoneinfo import ZoneInfo

import django
from croniter import croniter
from cronsim import CronSim
from django.conf import settings

from benchmarks import rules
from scheduling import recurrence
from scheduling.recurrence import cron, wall

NEXT_GOAL_MS = 50
PREVIEW_GOAL_MS = 300
PREVIEW_RUNS = 100
TRIES = 2_000
_KEPT = 12
_FRESH_SHARE = 0.15
_NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
_ZONE = "Europe/Berlin"
PLAIN = (
    "0 2 * * *", "*/15 * * * *", "30 3 * * 0", "0 0 1 * *", "*/15 8-18 * * 1-5",
    "5 4 1,15 * *", "0 22 * 1-6 1-5", "0 0 29 2 *",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Worst:
    milliseconds: float
    case: rules.Case


@dataclass(frozen=True, slots=True)
class Ratio:
    """Milliseconds for the plain expressions together; the libraries' own, and how many times ours
    take as long (below 1: less)."""

    ours: float
    cronsim: float
    croniter: float


@dataclass(frozen=True, slots=True)
class Recurrence:
    tried: int
    seed: int
    next: Worst
    preview: Worst
    next_ratio: Ratio
    preview_ratio: Ratio


def measure(tries: int = TRIES, seed: int = 1, rounds: int = 15) -> Recurrence:
    if not settings.configured:
        settings.configure(LANGUAGE_CODE="en")
        django.setup()
    return Recurrence(
        tries,
        seed,
        hunt(next_occurrence, tries, random.Random(seed)),
        hunt(preview, tries // 3, random.Random(seed)),
        _ratio(1, rounds),
        _ratio(PREVIEW_RUNS, rounds),
    )


def measure_apart(tries: int = TRIES) -> Recurrence:
    """The same in a process of its own, as it sets Django up in its own way."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, tries).result()


def next_occurrence(case: rules.Case) -> None:
    case.rule().next_after(case.after)


def preview(case: rules.Case) -> None:
    """All that the preview of a rule asks of it."""
    rule = case.rule()
    rule.sentence()
    rule.next_runs(case.after, PREVIEW_RUNS)
    rule.warnings(case.after)


def hunt(work: Callable[[rules.Case], None], tries: int, dice: random.Random) -> Worst:
    kept: list[Worst] = []
    for _ in range(tries):
        case = _candidate(kept, dice)
        if case is not None:
            kept = sorted([*kept, _timed(work, case)], key=lambda one: -one.milliseconds)[:_KEPT]
    # What is slow once may have been the machine: the slowest of those that stay slow.
    again = [_timed(work, one.case, times=5) for one in kept]
    return max(again, key=lambda one: one.milliseconds)


def _candidate(kept: list[Worst], dice: random.Random) -> rules.Case | None:
    try:
        if len(kept) < _KEPT or dice.random() < _FRESH_SHARE:
            case = rules.any_case(dice)
        else:
            case = rules.changed(dice.choice(kept).case, dice)
        case.rule()
    except recurrence.RuleError:
        return None
    return case


def _timed(work: Callable[[rules.Case], None], case: rules.Case, times: int = 2) -> Worst:
    return Worst(min(_milliseconds(lambda: work(case)) for _ in range(times)), case)


def _milliseconds(work: Callable[[], Any]) -> float:
    """Of the processor, with nothing remembered from earlier."""
    wall._change_on.cache_clear()
    cron.parse.cache_clear()
    start = process_time()
    work()
    return (process_time() - start) * 1_000


# Beside the libraries


def _ratio(number: int, rounds: int) -> Ratio:
    return Ratio(*(_of_plain(by, number, rounds) for by in (_ours, _by_cronsim, _by_croniter)))


def _of_plain(by: Callable[[str], Iterator[Any]], number: int, rounds: int) -> float:
    def all_of_them() -> None:
        for expression in PLAIN:
            list(islice(by(expression), number))

    return statistics.median(_milliseconds(all_of_them) for _ in range(rounds))


def _ours(expression: str) -> Iterator[datetime]:
    given = recurrence.parse("custom", {"cron_expression": expression}, _ZONE, anchor=_NOW)
    after: datetime | None = _NOW
    while after is not None and (one := given.next_after(after)) is not None:
        yield one.at
        after = one.at


def _by_cronsim(expression: str) -> Iterator[datetime]:
    return iter(CronSim(expression, _NOW.astimezone(ZoneInfo(_ZONE))))


def _by_croniter(expression: str) -> Iterator[datetime]:
    theirs = croniter(expression, _NOW.astimezone(ZoneInfo(_ZONE)), ret_type=datetime)
    while True:
        yield theirs.get_next()


# In words

_TEXT = """
## When a rule runs next

A hunt that changed the slowest rules at random, {tried:,} tries for the next occurrence and {previews:,}
for a preview of {runs} runs (seed {seed}), of the processor's time and with nothing cached:

| ms | worst found | goal | the input |
|---|---|---|---|
| the next occurrence | {next:.1f} | {next_goal} | `{next_case}` |
| a preview of {runs} | {preview:.1f} | {preview_goal} | `{preview_case}` |

{number} plain cron expressions in {zone}, parsed and asked in the same run; the ratios say how many
times as long ours takes (it also judges and words what daylight saving does to each run):

| ms | ours | cronsim | ratio | croniter | ratio |
|---|---|---|---|---|---|
| the next occurrence of each | {next_ratio} |
| the next {runs} of each | {preview_ratio} |
"""


def render(found: Recurrence) -> str:
    return _TEXT.format(
        tried=found.tried,
        previews=found.tried // 3,
        runs=PREVIEW_RUNS,
        seed=found.seed,
        next=found.next.milliseconds,
        next_goal=NEXT_GOAL_MS,
        next_case=found.next.case.sentence(),
        preview=found.preview.milliseconds,
        preview_goal=PREVIEW_GOAL_MS,
        preview_case=found.preview.case.sentence(),
        number=len(PLAIN),
        zone=_ZONE,
        next_ratio=_row(found.next_ratio),
        preview_ratio=_row(found.preview_ratio),
    )


def _row(ratio: Ratio) -> str:
    return (
        f"{ratio.ours:.2f} | {ratio.cronsim:.2f} | {ratio.ours / ratio.cronsim:.1f}"
        f" | {ratio.croniter:.2f} | {ratio.ours / ratio.croniter:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recurrence", description=__doc__)
    parser.add_argument("--tries", type=int, default=TRIES)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(render(measure(options.tries, options.seed)))


if __name__ == "__main__":
    main()
