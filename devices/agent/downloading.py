"""One file over HTTP, whole and right or not at all; what is there already is not fetched twice."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import math
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from . import __version__, durable
from .addresses import is_loopback, objection

PIECE_BYTES = 256 * 1024
_TIMEOUT_SECONDS = 30.0
MOST_BYTES = 5 * 1024**3
"""Of a file whose size nobody signed."""
LOOK_BYTES = 4 * 1024 * 1024
"""After so many the disk's room is looked at again."""
_MOST_TOLD = 200
STRETCH_SECONDS = 30.0
"""After which our own server is asked for the rest: it then gives the share of a cap that is due by
now, when another transfer may have begun or ended."""


class Again(Exception):
    """It did not work this time; what has come is kept, and the next try goes on from there."""


class Stale(Again):
    """The address is not good any more: ask for another."""


class Never(Exception):
    """It cannot be had; the text says why, for a person."""


class NoRoom(Never):
    """The disk would have less free than is to stay so; nothing of the file is kept."""


class _Answer(Protocol):
    status: int
    headers: Any

    def read(self, amount: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """`size` None where it is not known; `min_free_bytes` stay free on the disk."""

    sha256: str
    size: int | None
    min_free_bytes: int = 0


def download(
    url: str,
    path: Path,
    wanted: Wanted,
    *,
    headers: Mapping[str, str],
    go_on: Callable[[], bool],
    stretch_seconds: float = math.inf,
) -> None:
    """Brings the file to `path`, complete and verified. Beside it, `.part` holds what has come so
    far. `go_on` is asked between pieces; an answer is read for `stretch_seconds`, and the rest of a
    file of known size asked for anew. Raises Again, Stale, Never, NoRoom."""
    if path.exists():
        return
    part = path.with_name(path.name + ".part")
    sha256 = hashlib.sha256()
    have = _digest_into(sha256, part, wanted)
    try:
        if wanted.size is None:
            _fetch(url, part, have, wanted, headers, sha256, go_on, math.inf)
        while wanted.size is not None and have < wanted.size:
            _fetch(url, part, have, wanted, headers, sha256, go_on, stretch_seconds)
            have = part.stat().st_size
        _complete(part, path, wanted, sha256.hexdigest())
    except NoRoom:
        part.unlink(missing_ok=True)
        raise
    except OSError as problem:
        with contextlib.suppress(OSError):
            part.unlink()  # what filled the disk does not stay on it
        raise Never(f"the device cannot store the file: {problem.strerror}") from problem


def _complete(part: Path, path: Path, wanted: Wanted, found: str) -> None:
    if found != wanted.sha256:
        part.unlink(missing_ok=True)
        raise Never(f"what was sent has the digest {found[:16]}…, not the one that was signed")
    part.touch()  # an empty file sent no piece
    os.replace(part, path)
    durable.sync_folder(path.parent)


def _digest_into(sha256: Any, part: Path, wanted: Wanted) -> int:
    """How much of it is there; what is longer than it may be is thrown away."""
    try:
        size = part.stat().st_size
    except FileNotFoundError:
        return 0
    if size > (MOST_BYTES if wanted.size is None else wanted.size):
        part.unlink()
        return 0
    with part.open("rb") as source:
        while piece := source.read(PIECE_BYTES):
            sha256.update(piece)
    return size


def _fetch(
    url: str,
    part: Path,
    have: int,
    wanted: Wanted,
    headers: Mapping[str, str],
    sha256: Any,
    go_on: Callable[[], bool],
    stretch_seconds: float,
) -> None:
    until = time.monotonic() + stretch_seconds
    _require_room(part.parent, (wanted.size or 0) - have, wanted.min_free_bytes)
    try:
        with _open(url, have, headers) as answer:
            if have and answer.status != 206:
                # It sends everything from the start, whatever was asked for.
                part.unlink(missing_ok=True)
                raise Again("the server cannot go on in mid-file")
            end = _announced_end(answer, have)
            if end is not None and end < (wanted.size or 0):
                raise Never("the server's file is shorter than the one that was signed")
            if wanted.size is None and end is not None:
                _require_room(part.parent, min(end, MOST_BYTES) - have, wanted.min_free_bytes)
            _pour(_pieces(answer, until), part, have, wanted, sha256, go_on)
    except urllib.error.HTTPError as refusal:
        if refusal.code == 416 and wanted.size is None:
            return  # all of it was there already; its digest decides
        raise _refusal(refusal) from None
    is_short = part.stat().st_size < (wanted.size if wanted.size is not None else end or 0)
    if is_short and time.monotonic() < until:
        raise Again("the connection was cut")


def _announced_end(answer: _Answer, have: int) -> int | None:
    """How long the file is by what the answer says of itself."""
    length = answer.headers.get("Content-Length") or ""
    return have + int(length) if length.isdecimal() else None


def _pieces(answer: _Answer, until: float) -> Iterator[bytes]:
    """The body, as far as it comes by then. Raises Again for whatever the network does, TLS
    included: no OSError comes of it."""
    try:
        while piece := answer.read(PIECE_BYTES):
            yield piece
            if time.monotonic() >= until:
                return
    except (http.client.HTTPException, OSError) as problem:
        raise Again(str(problem) or "the connection was cut") from None


def _pour(
    pieces: Iterator[bytes],
    part: Path,
    have: int,
    wanted: Wanted,
    sha256: Any,
    go_on: Callable[[], bool],
) -> None:
    """To the file's end, or the first byte too many. Raises OSError for the disk alone."""
    most = MOST_BYTES if wanted.size is None else wanted.size
    looked_at = have
    with part.open("ab") as target:
        for piece in pieces:
            have += len(piece)
            if have - looked_at >= LOOK_BYTES:
                looked_at = have
                _require_room(part.parent, len(piece), wanted.min_free_bytes)
            if have > most:
                target.truncate(0)
                which = "that were signed" if wanted.size is not None else "a file may have"
                raise Never(f"the server sends more than the {most} bytes {which}")
            target.write(piece)
            sha256.update(piece)
            if not go_on():
                raise Again("not wanted any more")
        target.flush()
        os.fsync(target.fileno())


def _require_room(folder: Path, needed: int, min_free_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free - max(needed, 0) < min_free_bytes:
        raise NoRoom(f"the device's disk has no room for it: {free} bytes are free")


class _Careful(urllib.request.HTTPRedirectHandler):
    """An address elsewhere may send on, to where an agent may go as well; to plain HTTP, which is
    what this machine has for itself, from there alone. Our own headers, with the device's signature
    in them, stay behind."""

    def redirect_request(
        self, req: urllib.request.Request, *args: Any, **kwargs: Any
    ) -> urllib.request.Request | None:
        request: urllib.request.Request | None = super().redirect_request(req, *args, **kwargs)
        if request is None or objection(request.full_url, "https", "http"):
            return None
        if request.type == "http" and req.type != "http":
            return None
        request.headers = {n: v for n, v in request.headers.items() if not n.startswith("X-")}
        return request


def _open(url: str, offset: int, headers: Mapping[str, str]) -> Any:
    proxies = urllib.request.ProxyHandler({} if is_loopback(url) else None)
    opener = urllib.request.build_opener(proxies, _Careful)
    asked = {"User-Agent": f"deployx-agent/{__version__}", **headers}
    if offset:
        asked["Range"] = f"bytes={offset}-"
    if problem := objection(url, "https", "http"):
        raise Never(problem)
    try:
        return opener.open(urllib.request.Request(url, headers=asked), timeout=_TIMEOUT_SECONDS)  # noqa: S310  (checked by `objection`)
    except urllib.error.HTTPError:
        raise
    except (http.client.HTTPException, OSError) as problem:
        raise Again(str(problem) or "the connection was cut") from None


def _refusal(refusal: urllib.error.HTTPError) -> Again | Never:
    if refusal.code in (401, 403):
        said = f"the server refused the address ({refusal.code})"
        return Stale(f"{said}: {why}" if (why := _told(refusal)) else said)
    if refusal.code in (404, 410):
        return Never("the server has no such file")
    if refusal.code == 416:
        return Never("the server's file is shorter than the one that was signed")
    if 300 <= refusal.code < 400:
        return Never("the server sends the agent where it may not go")
    return Again(f"the server answered {refusal.code}")


def _told(refusal: urllib.error.HTTPError) -> str:
    """How the answer's body begins, as one line of text; empty where nothing comes."""
    body: Any = refusal.fp  # of which `read` would wait for all of it
    try:
        text = body.read1(_MOST_TOLD).decode(errors="replace")
    except (http.client.HTTPException, OSError):
        return ""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())
