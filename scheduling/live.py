"""Tells open pages that something changed; the page then asks again over HTTP."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from functools import partial
from typing import Any
from uuid import UUID

from scheduling import hints

GROUP = "live"
CHANGED = "live.changed"
SIGNED_OUT = "live.signed_out"
EVERYBODY = 0
"""No person's id: in `known_to` it stands for whoever is signed in."""


def changed(kind: str, ids: Iterable[UUID | str], *, known_to: Iterable[int] = ()) -> None:
    """After the commit, says that these objects changed. `kind` is one of `audience.KINDS`;
    `known_to` are the people who saw them before, where they do no more and nobody could look it up.

    The message's `version` grows with time: of two about one object, the greater is the newer.
    """
    names = sorted({str(one) for one in ids})
    if names:
        version = time.time_ns() // 1_000
        message: dict[str, Any] = {"type": CHANGED, "object": kind, "ids": names}
        message |= {"version": version, "known_to": sorted(known_to)}
        hints.after_commit(partial(hints.send_to_group, GROUP, message))


def signed_out(session_key: str) -> None:
    """Has the sockets of this session closed; the key itself goes nowhere."""
    message = {"type": SIGNED_OUT, "session": digest(session_key)}
    hints.after_commit(partial(hints.send_to_group, GROUP, message))


def digest(session_key: str) -> str:
    return hashlib.sha256(session_key.encode()).hexdigest()
