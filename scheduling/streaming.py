"""Answers that are sent as they are read: a part of them in memory, never all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import TYPE_CHECKING

from django.core.handlers.asgi import ASGIRequest

from devices.hub.threads import Threads

if TYPE_CHECKING:
    from django.http import HttpRequest

THREADS = Threads("download", 2)


def parts_for(
    request: HttpRequest, parts: Iterator[bytes]
) -> Iterator[bytes] | AsyncIterator[bytes]:
    """For a StreamingHttpResponse. Django would make a list of what is not asynchronous, and then
    send it."""
    return _in_threads(parts) if isinstance(request, ASGIRequest) else parts


async def _in_threads(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (part := await THREADS.call(partial(next, parts, None))) is not None:
        yield part
