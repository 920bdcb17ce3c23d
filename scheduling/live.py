"""Tells open pages that something changed; the page then asks again over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from uuid import UUID

from scheduling import hints

GROUP = "live"


def changed(kind: str, ids: Iterable[UUID | str]) -> None:
    """After the commit, says that these objects changed. `kind`: task, execution, run or device."""
    names = sorted({str(one) for one in ids})
    if names:
        message = {"type": "live.changed", "object": kind, "ids": names}
        hints.after_commit(partial(hints.send_to_group, GROUP, message))
