"""How an execution stands, for all who look at it: counted once, however many have its page open."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from scheduling import alike, steering, waiting
from scheduling.models import Execution

MOST_KEPT = 64
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Standing:
    """`waiting` says how many runs wait for what."""

    can: steering.Possible
    waves: steering.Waves | None
    waiting: Mapping[waiting.WaitingFor, int]
    outputs: alike.Groups


class Looks(Generic[T]):
    """Shares what is looked up among those who ask for it at once.

    Nobody gets what was looked up before they asked: who comes while a look is under way waits for
    the next one, and everybody who waits shares that. `tickets` number the askings and the looks.
    """

    def __init__(self) -> None:
        self.tickets = 0
        self._guard = threading.Lock()
        self._known: OrderedDict[Hashable, _Known[T]] = OrderedDict()

    def look(self, key: Hashable, find: Callable[[], T]) -> T:
        known, asked = self._of(key)
        with known.lock:
            if known.found is None or known.begun < asked:
                begun = self._ticket()
                known.found, known.begun = (find(),), begun
            return known.found[0]

    def _of(self, key: Hashable) -> tuple[_Known[T], int]:
        with self._guard:
            known = self._known.setdefault(key, _Known())
            self._known.move_to_end(key)
            if len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)
            self.tickets += 1
            return known, self.tickets

    def _ticket(self) -> int:
        with self._guard:
            self.tickets += 1
            return self.tickets


class _Known(Generic[T]):
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.begun = -1
        self.found: tuple[T] | None = None


_looks: Looks[Standing] = Looks()


def of(execution: Execution) -> Standing:
    """How it stands now, in four queries at most, none of which grows with the history."""
    return _looks.look(execution.pk, lambda: _find(execution))


def _find(execution: Execution) -> Standing:
    can = steering.possible(execution)
    return Standing(
        can,
        steering.waves(execution, can),
        waiting.counted(execution) if can.unstarted + can.undoing else {},
        alike.groups(execution),
    )
