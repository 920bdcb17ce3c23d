"""The embedded default keeps to the rate that an address stands for."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from scheduling.catalogue import downloads

SIZE, RATE = 1024 * 1024, 2_000_000


async def test_bytes_come_no_faster_than_they_may(tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(bytes(SIZE))
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    began = time.monotonic()
    scope = {"type": "http", "method": "GET", "headers": []}
    await downloads._stream(scope, receive, send, path, RATE)
    assert time.monotonic() - began >= SIZE / RATE
    assert sum(len(message.get("body", b"")) for message in sent) == SIZE
