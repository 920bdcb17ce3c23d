"""How stored bytes leave, for devices and for people: the headers, a part of them, nginx's place."""

from __future__ import annotations

import re
from urllib.parse import quote

from django.conf import settings

from scheduling.catalogue import store

PIECE_BYTES = 512 * 1024
REDIRECT_SECONDS = 900
CONTENT_TYPE = "application/octet-stream"
HEADERS = {
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
}
IN_PARTS = {"Accept-Ranges": "bytes"}
"""Where we send them; nginx says it of its own accord."""
_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{0,15})")


def part(asked: str, size: int) -> tuple[int, int] | None:
    """The bytes that the header `Range` asks for, from and up to (exclusive); None where there are
    none of them. A range in another form than ours is answered with everything, as RFC 9110 allows."""
    match = _RANGE.fullmatch(asked)
    if match is None:
        return 0, size
    begin = int(match[1])
    end = min(int(match[2]) + 1, size) if match[2] else size
    return (begin, end) if begin < end else None


def accel_place(sha256: str) -> str:
    """What `X-Accel-Redirect` says; empty where no nginx stands before us that reads the store."""
    location: str = settings.DEPLOYX_ACCEL_LOCATION
    return quote(f"{location.rstrip('/')}/{store.accel_path(sha256)}") if location else ""
