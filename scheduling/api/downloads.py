"""A run's whole output as the bytes it was, a part at a time: a page of it in memory, never all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from devices.hub.threads import Threads
from scheduling import outputs
from scheduling.models import DeviceRun

THREADS = Threads("download", 2)


def response(
    request: HttpRequest, run: DeviceRun, *, offset: int, stream: str | None
) -> StreamingHttpResponse:
    """From `offset` to where the output ended when it was asked for."""
    # Django would make a list of what is not asynchronous, and then send it.
    make = _asynchronously if isinstance(request, ASGIRequest) else _synchronously
    parts = make(run, offset, run.output_next, stream)
    return StreamingHttpResponse(parts, content_type="text/plain; charset=utf-8")


def _synchronously(run: DeviceRun, offset: int, end: int, stream: str | None) -> Iterator[bytes]:
    while offset < end:
        data, offset = _part(run, offset, end, stream)
        yield data


async def _asynchronously(
    run: DeviceRun, offset: int, end: int, stream: str | None
) -> AsyncIterator[bytes]:
    while offset < end:
        data, offset = await THREADS.call(partial(_part, run, offset, end, stream))
        yield data


def _part(run: DeviceRun, offset: int, end: int, stream: str | None) -> tuple[bytes, int]:
    """The next bytes, and where it goes on; at the end where there is no more."""
    found = outputs.pieces(run, offset, min(outputs.LIMIT, end - offset))
    wanted = [one for one in found if one.stream is not None and stream in (None, one.stream)]
    data = b"".join(one.data[: max(0, end - one.offset)] for one in wanted)
    return data, found[-1].end if found else end
