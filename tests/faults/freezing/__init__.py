"""The agent and its shim as they are, but that they stop (SIGSTOP) at one exact step, where a test
then kills them or takes the power away.

`python -m tests.faults.freezing` is `deployx-agent`. DEPLOYX_FREEZE_AT names the step, `go:torn` for
instance; DEPLOYX_FREEZE_ONCE is a file that is made there, so that it happens once. The product has
no such points: they are put around its functions from outside.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

AT, ONCE = "DEPLOYX_FREEZE_AT", "DEPLOYX_FREEZE_ONCE"

JOURNAL_STEPS = tuple(
    f"{step}:{moment}"
    for step in ("claim", "go", "spawned", "ended", "tombstone")
    for moment in ("before", "torn", "after")
)
AGENT_STEPS = (*JOURNAL_STEPS, "release:before", "release:after", "start:after", "result:after")
SHIM_STEPS = (
    "work:after",
    "command:before",
    "command:after",
    "output:before",
    "output:after",
    "drain:before",
    "spool:after",
    "exit:before",
    "exit:unnamed",
    "exit:after",
)


def point(step: str) -> None:
    """Stops the whole process here, if this is the step and it is the first time."""
    if os.environ.get(AT) != step:
        return
    try:
        os.close(os.open(os.environ[ONCE], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGSTOP)


def around(owner: Any, name: str, step: str) -> None:
    """Points before and after a function."""
    inner: Callable[..., Any] = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        point(f"{step}:before")
        answer = inner(*args, **kwargs)
        point(f"{step}:after")
        return answer

    setattr(owner, name, wrapped)
