"""A host of files over plain HTTP/1.1, which breaks off, lies and dawdles as a test says."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

_PIECE = 64 * 1024


@dataclass
class Hosted:
    """One file. `cuts`: how many bytes of the body each of the first answers sends before the line
    breaks. `statuses` are answered first, one each, with `says` as the body. `announced`: what
    Content-Length says, where it is not the truth; None where nothing is said. `goes_on`: whether
    ranges are answered."""

    content: bytes
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    says: bytes = b""
    announced: int | None = -1
    is_endless: bool = False
    goes_on: bool = True
    offsets: list[int] = field(default_factory=list)
    sent: int = 0

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class FileHost:
    """`files` by path. `moved` is awaited by `until`; `may_send` holds bodies back after a byte."""

    def __init__(self) -> None:
        self.files: dict[str, Hosted] = {}
        self.holds_after: int | None = None
        self._may_go_on = asyncio.Event()
        self._changed = asyncio.Condition()
        self._listener: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: Any, trace: TracebackType | None
    ) -> None:
        assert self._listener is not None
        self._may_go_on.set()
        self._listener.close()

    def host(self, content: bytes, path: str = "/file", **how: Any) -> Hosted:
        hosted = Hosted(content, **how)
        self.files[path] = hosted
        return hosted

    def address(self, path: str = "/file") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def hold_after(self, sent: int) -> None:
        """Answers stop at this byte of the file until `let_go`."""
        self.holds_after = sent

    def let_go(self) -> None:
        self.holds_after = None
        self._may_go_on.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async def wait() -> None:
            async with self._changed:
                await self._changed.wait_for(holds)

        await asyncio.wait_for(wait(), 60)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split(" ", 2)[1]
            asked = re.search(r"^range: bytes=(\d+)-\r$", head, re.I | re.M)
            await self._answer(path, int(asked[1]) if asked else 0, writer)
        writer.close()

    async def _answer(self, path: str, offset: int, writer: asyncio.StreamWriter) -> None:
        hosted = self.files.get(path)
        if hosted is None or hosted.statuses:
            status = hosted.statuses.pop(0) if hosted else 404
            body = hosted.says if hosted else b""
            head = f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
            return
        begin = offset if hosted.goes_on else 0
        hosted.offsets.append(begin)
        await self._noted()
        if begin and begin >= len(hosted.content) and not hosted.is_endless:
            writer.write(b"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n")
            return
        length = len(hosted.content) - begin if hosted.announced == -1 else hosted.announced
        said = "" if length is None else f"Content-Length: {length}\r\n"
        status = 206 if begin else 200
        writer.write(f"HTTP/1.1 {status} OK\r\n{said}Connection: close\r\n\r\n".encode())
        await self._send(hosted, begin, writer)

    async def _send(self, hosted: Hosted, begin: int, writer: asyncio.StreamWriter) -> None:
        end = begin + hosted.cuts.pop(0) if hosted.cuts else None
        at = begin
        while hosted.is_endless or at < len(hosted.content):
            stop = at + _PIECE if end is None else min(at + _PIECE, end)
            if self.holds_after is not None:
                stop = min(stop, self.holds_after)
            piece = hosted.content[at:stop] or b"x" * (_PIECE if hosted.is_endless else 0)
            if piece:
                writer.write(piece)
                await writer.drain()
                at += len(piece)
                hosted.sent += len(piece)
                await self._noted()
            if end is not None and at >= end:
                writer.transport.abort()
                return
            if at == self.holds_after:
                await self._may_go_on.wait()

    async def _noted(self) -> None:
        async with self._changed:
            self._changed.notify_all()
