"""What plain ASGI applications beside Django have in common: their types, and short answers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from django.http import parse_cookie

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


async def answer(send: Send, status: int, detail: str, headers: Headers | None = None) -> None:
    """A whole answer, worded as the API words its refusals."""
    body = json.dumps({"detail": detail}).encode()
    own = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    start = {"type": "http.response.start", "status": status, "headers": [*own, *(headers or [])]}
    await send(start)
    await send({"type": "http.response.body", "body": body})


def encoded(headers: Mapping[str, str]) -> Headers:
    return [(name.lower().encode(), said.encode()) for name, said in headers.items()]


def header(scope: Scope, name: bytes) -> str:
    """What the request says under this name, the last time; empty where it does not."""
    found = [value for named, value in scope["headers"] if named == name]
    return found[-1].decode("latin-1") if found else ""


def cookie(scope: Scope, name: str) -> str:
    """Empty where there is none."""
    lines = [value.decode("latin-1") for named, value in scope["headers"] if named == b"cookie"]
    return parse_cookie("; ".join(lines)).get(name, "")


async def left(receive: Receive) -> None:
    """Until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
