"""`GET /agent/files/…`: a device fetches a file, beside Django, with Range.

Two hundred devices may fetch at once: here each is a coroutine, and asks the database once, at its
beginning. Behind nginx the bytes are nginx's to send (`X-Accel-Redirect`).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from pathlib import Path
from typing import BinaryIO

import structlog

from accounts import errors
from accounts.api import asgi
from accounts.api.asgi import Application, Message, Receive, Scope, Send
from devices.agent import protocol
from devices.hub.threads import Threads, Unavailable
from scheduling.catalogue import handing, leaving, store

log = structlog.get_logger(__name__)
_SIGNATURE_HEADER = protocol.FETCH_SIGNATURE_HEADER.lower().encode()
_COMMON = asgi.encoded({"Content-Type": leaving.CONTENT_TYPE, **leaving.HEADERS})
_IN_PARTS = asgi.encoded(leaving.IN_PARTS)


class FileDownloads:
    """ASGI: everything but files for devices goes to `inner`."""

    def __init__(self, inner: Application) -> None:
        self._inner = inner
        self._threads: Threads | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(handing.PATH):
            await self._inner(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await asgi.answer(send, 405, "Only GET and HEAD.", [(b"allow", b"GET, HEAD")])
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._threads is None:
            self._threads = Threads("downloads", 2)
        token = scope["path"].removeprefix(handing.PATH)
        signature = _signature(scope)
        try:
            handout = await self._threads.call(lambda: handing.redeem(token, signature))
        except handing.Refused as refused:
            await asgi.answer(send, 403, str(refused))
        except Unavailable:
            await asgi.answer(send, 503, "Try again in a moment.", [(b"retry-after", b"2")])
        else:
            await _give(scope, receive, send, handout)


async def _give(scope: Scope, receive: Receive, send: Send, handout: handing.Handout) -> None:
    path = store.local_path(handout.sha256)
    if path is None:
        await _send_on(send, handout)
    elif place := leaving.accel_place(handout.sha256):
        await _hand_to_nginx(send, place, handout.rate)
    else:
        await _stream(scope, receive, send, path, handout.rate)


async def _send_on(send: Send, handout: handing.Handout) -> None:
    try:
        url = await asyncio.to_thread(store.remote_url, handout.sha256, leaving.REDIRECT_SECONDS)
    except errors.Unavailable:
        await asgi.answer(send, 503, "Try again in a moment.", [(b"retry-after", b"30")])
    else:
        await asgi.answer(send, 302, "It is stored elsewhere.", [(b"location", url.encode())])


async def _hand_to_nginx(send: Send, place: str, rate: int) -> None:
    headers = [*_COMMON, (b"x-accel-redirect", place.encode()), (b"content-length", b"0")]
    if rate:
        headers.append((b"x-accel-limit-rate", str(rate).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _stream(scope: Scope, receive: Receive, send: Send, path: Path, rate: int) -> None:
    try:
        source = await asyncio.to_thread(path.open, "rb")
    except OSError as problem:
        log.error("stored_bytes_missing", sha256=path.name, error=str(problem))
        await asgi.answer(send, 404, "The bytes are not there.")
        return
    with source:
        size = await asyncio.to_thread(lambda: path.stat().st_size)
        part = leaving.part(asgi.header(scope, b"range"), size)
        if part is None:
            range_of = f"bytes */{size}".encode()
            await asgi.answer(send, 416, "No such range.", [(b"content-range", range_of)])
            return
        begin, end = part
        await send({"type": "http.response.start", **_head(begin, end, size)})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        sending = asyncio.create_task(_send_all(send, source, begin, end, rate))
        departing = asyncio.create_task(asgi.left(receive))
        try:
            await asyncio.wait({sending, departing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            departing.cancel()
            sending.cancel()
            await asyncio.gather(sending, departing, return_exceptions=True)


async def _send_all(send: Send, source: BinaryIO, begin: int, end: int, rate: int) -> None:
    loop = asyncio.get_running_loop()
    started, sent = loop.time(), 0
    await asyncio.to_thread(source.seek, begin)
    while begin < end:
        piece = await asyncio.to_thread(source.read, min(leaving.PIECE_BYTES, end - begin))
        if not piece:
            return  # shorter than a moment ago: the client sees the length was not reached
        begin += len(piece)
        sent += len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        if rate:
            await asyncio.sleep(max(0.0, sent / rate - (loop.time() - started)))
    await send({"type": "http.response.body", "body": b""})


def _head(begin: int, end: int, size: int) -> Message:
    headers = [*_COMMON, *_IN_PARTS, (b"content-length", str(end - begin).encode())]
    if (begin, end) == (0, size):
        return {"status": 200, "headers": headers}
    headers.append((b"content-range", f"bytes {begin}-{end - 1}/{size}".encode()))
    return {"status": 206, "headers": headers}


def _signature(scope: Scope) -> bytes:
    text = next((value for name, value in scope["headers"] if name == _SIGNATURE_HEADER), b"")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
