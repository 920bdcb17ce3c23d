"""Tells open pages of changes. Who carries it to them stands above: `deployx.routing` says who."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol
from uuid import UUID


class Tell(Protocol):
    def __call__(
        self, kind: str, ids: Iterable[UUID | str], *, known_to: Iterable[int] = ()
    ) -> None:
        """See `scheduling.live.changed`."""


_handed: list[Tell] = []


def hand_over(tell: Tell) -> None:
    _handed[:] = [tell]


def changed(kind: str, ids: Iterable[UUID | str], *, known_to: Iterable[int] = ()) -> None:
    """After the commit, says that these objects changed; `known_to` who saw them before."""
    if not _handed:
        raise RuntimeError("deployx.routing has handed nothing over to accounts")
    _handed[0](kind, ids, known_to=known_to)
