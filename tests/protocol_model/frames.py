"""Frames as the model's network carries them: small, hashable, and readable in a trace."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

_NAMESPACE = uuid.UUID("0197f3a0-0000-7000-8000-000000000000")
DEVICE_ID = uuid.uuid5(_NAMESPACE, "device")


class Frame(NamedTuple):
    """`session` is the one whose connection carries it; `run` counts from 0, -1 for none."""

    kind: str
    session: int
    run: int = -1
    what: Any = None

    def __str__(self) -> str:
        said = self.kind.upper()
        if self.run >= 0:
            said += f" of run {self.run}"
        if self.what not in (None, ()):
            said += f" ({self.what})"
        return f"{said} in session {self.session}"


def run_id(number: int) -> uuid.UUID:
    return uuid.uuid5(_NAMESPACE, f"run {number}")


def session_id(number: int) -> uuid.UUID:
    return uuid.uuid5(_NAMESPACE, f"session {number}")


RUN_NUMBERS = {run_id(number): number for number in range(4)}
SESSION_NUMBERS = {session_id(number): number for number in range(64)}
