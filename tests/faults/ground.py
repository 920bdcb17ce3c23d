"""Where a case takes place: a site, its fleet, and the checker that has the last word."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from tests.faults.checker import Checker
from tests.faults.fleet import Fleet, fleet
from tests.faults.load import Load
from tests.faults.site import Site, site

T = TypeVar("T")
MOST_OPEN = 40
"""Runs that a machine of 2 cores gets done within seconds."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Cases may follow each other on one: each leaves it whole, and is counted by itself."""

    site: Site
    fleet: Fleet
    checker: Checker

    @property
    def kills(self) -> int:
        return self.site.kills + self.fleet.kills

    def load(
        self, chance: random.Random, executions_per_second: float, *, most_open: int = MOST_OPEN
    ) -> Load:
        """As much work as that while no more runs are open: more would only wait, and nothing could
        happen to them meanwhile."""
        return Load(
            self.fleet,
            chance,
            executions_per_second,
            is_wanted=lambda: self.checker.open_runs() < most_open,
        )

    @contextmanager
    def case(
        self, name: str, seed: int, *, cases: int | Callable[[], int], load: Load | None = None
    ) -> Iterator[None]:
        """What happens in the block, the load that goes on meanwhile, and what must be true once
        everything works again. `cases` is how often the fault is tried. Raises Violated."""
        kills, began = self.kills, time.monotonic()
        with load.running() if load is not None else ExitStack():
            yield
            self.site.revive()
        self.fleet.start()
        self.checker.wait_until_calm(meanwhile=self.site.look_after)
        self.checker.check(
            name,
            seed=seed,
            cases=cases if isinstance(cases, int) else cases(),
            kills=self.kills - kills,
            seconds=time.monotonic() - began,
            load=load,
        )


class Kept(Generic[T]):
    """What cases share because it takes long to make. After a case that failed, and may have left it
    in any state, the next gets it made anew."""

    def __init__(self, make: Callable[[], AbstractContextManager[T]], stack: ExitStack) -> None:
        self._make, self._stack = make, stack
        self._made: list[T] = []
        self.is_spoilt = False

    def get(self) -> T:
        if self.is_spoilt:
            self._made.clear()
            with suppress(Exception):  # part of what failed
                self._stack.close()
            self.is_spoilt = False
        if not self._made:
            self._made.append(self._stack.enter_context(self._make()))
        return self._made[0]


KEPT: list[Kept[Any]] = []


@contextmanager
def kept(make: Callable[[], AbstractContextManager[T]]) -> Iterator[Kept[T]]:
    with ExitStack() as stack:
        KEPT.append(Kept(make, stack))
        yield KEPT[-1]


@contextmanager
def ground(folder: Path, devices: int) -> Iterator[Ground]:
    with site() as system, fleet(system, folder, devices) as of:
        yield Ground(system, of, Checker(system, of.ledger))
