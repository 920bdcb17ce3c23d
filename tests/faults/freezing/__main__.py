"""deployx-agent with points to freeze at."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from devices.agent import durable, runner
from devices.agent.__main__ import main
from devices.agent.journal import Journal
from devices.agent.line import Line
from tests.faults.freezing import AT, ONCE, around, point

_CHECKOUT = Path(__file__).resolve().parents[3]


def _around_the_journal() -> None:
    record = Journal._record
    write_all = durable.write_all
    under_way: list[str] = []

    def recorded(self: Journal, **fields: Any) -> None:
        point(f"{fields['do']}:before")
        under_way[:] = [fields["do"]]
        record(self, **fields)
        under_way.clear()
        point(f"{fields['do']}:after")

    def torn(descriptor: int, data: bytes) -> None:
        if under_way:
            write_all(descriptor, data[: len(data) // 2])
            point(f"{under_way[0]}:torn")
            data = data[len(data) // 2 :]
        write_all(descriptor, data)

    Journal._record = recorded  # type: ignore[method-assign]
    durable.write_all = torn


def _around_the_line() -> None:
    begin = Line.__init__

    def begun(self: Line, send: Callable[[str], Awaitable[None]]) -> None:
        async def sent(text: str) -> None:
            await send(text)
            point(f"{json.loads(text)['type']}:after")

        begin(self, sent)

    Line.__init__ = begun  # type: ignore[method-assign]


def _around_the_shim() -> None:
    environment = runner._environment()
    passed = {name: os.environ[name] for name in (AT, ONCE) if name in os.environ}
    runner._environment = lambda: {**environment, **passed, "PYTHONPATH": str(_CHECKOUT)}
    runner._PACKAGE = "tests.faults.freezing"


_around_the_journal()
_around_the_line()
_around_the_shim()
around(runner, "_hand_over", "release")
sys.exit(main())
