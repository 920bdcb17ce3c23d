"""What the packages above hand down to this one; `deployx.routing` is the one place that does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from devices.ledger_port import Ledger


@dataclass(frozen=True, slots=True)
class Upward:
    """`forget_device` and `forget_group` take one off every target list, a device off its history as
    well, in the caller's transaction."""

    ledger: Ledger
    forget_device: Callable[[UUID], None]
    forget_group: Callable[[UUID], None]


_handed: list[Upward] = []


def hand_over(upward: Upward) -> None:
    _handed[:] = [upward]


def upward() -> Upward:
    if not _handed:
        raise RuntimeError("deployx.routing has handed nothing over to devices")
    return _handed[0]
