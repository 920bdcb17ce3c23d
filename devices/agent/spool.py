"""A run's output on its way out, on the device's disk.

The shim appends records as it reads them; the agent reads them while the run goes on and again
after any restart. A record is a kind (`o` stdout, `e` stderr, `g` gap), the offset of its first
byte in the run's whole output, its length, and, but for a gap, its bytes. Records lie in segments,
files named by the offset they begin at; the agent removes those the server has, and so makes room.
An incomplete record at the end is a write under way, or one that a crash cut off.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from . import durable

HEAD = struct.Struct(">cQQ")
SEGMENTS = 16
_STDOUT, _STDERR, _GAP = b"o", b"e", b"g"
_KINDS = {"stdout": _STDOUT, "stderr": _STDERR}
_STREAMS = {_STDOUT: "stdout", _STDERR: "stderr"}
_RELEASED = "released"
_MOST_TAIL_BYTES = 8 * 1024 * 1024
_PIECE_BYTES = 64 * 1024
_RETRY_SECONDS = 1.0
_LOOK_SECONDS = 0.05
_SWITCHES_PER_SECOND = 20.0
_SWITCHES_BURST = 60.0


def _name(start: int) -> str:
    return f"{start:016x}"


def _starts(folder: Path) -> list[int]:
    """Where the segments that are there begin, in order."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(int(name, 16) for name in os.listdir(folder) if len(name) == 16)
    return []


class SpoolWriter:
    """Never waits for anybody but the disk. While it is full it keeps the newest bytes in memory,
    an eighth of the spool, and counts what falls out between them and the ones before."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        folder.mkdir(mode=0o700)
        self._folder = folder
        self._tail_bytes = min(_MOST_TAIL_BYTES, max_bytes // 8)
        self._room = max_bytes - self._tail_bytes
        self._segment_bytes = max(1, max_bytes // SEGMENTS)
        self._descriptor = -1
        self._segments: deque[tuple[Path, int]] = deque()
        self._size = 0
        self._tail: deque[tuple[bytes, bytearray]] = deque()
        self._tail_held = 0
        self._look_at = 0.0
        self._is_closed = False
        self._lock = threading.Lock()
        self._digest = hashlib.sha256()
        self._last = b""
        self._switches = _SWITCHES_BURST
        self._switched_at = time.monotonic()
        self.end = 0
        self.spooled_end = 0
        self.length = 0
        """Of the bytes that went into the spool, those already released among them."""

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def append(self, stream: str, data: bytes) -> float:
        """How many seconds the reader had better wait before it reads on: streams that take
        turns in small pieces would otherwise cost a frame for each piece."""
        kind = _KINDS[stream]
        with self._lock:
            if self._is_closed or not data:
                return 0.0
            self.end += len(data)
            if self._tail or not self._write(kind, self.end - len(data), data):
                self._hold(kind, data)
                if self._has_room(self._tail_held + (len(self._tail) + 1) * HEAD.size):
                    self._write_tail()
            return self._pause(kind)

    def close(self) -> None:
        """Write what was held back and make all of it last."""
        with self._lock:
            self._is_closed = True
            self._room += self._tail_bytes + (len(self._tail) + 1) * HEAD.size
            self._look_at = 0.0
            self._write_tail()
            if self._descriptor >= 0:
                os.close(self._descriptor)
            for path in [path for path, _ in self._segments] + [self._folder]:
                with contextlib.suppress(OSError):
                    _sync(path)

    def _write(self, kind: bytes, offset: int, data: bytes, length: int | None = None) -> bool:
        record = HEAD.pack(kind, offset, len(data) if length is None else length) + data
        if not self._has_room(len(record)):
            return False
        try:
            if self._descriptor < 0 or self._size >= self._segment_bytes:
                self._begin_segment(offset)
            durable.write_all(self._descriptor, record)
        except OSError:
            # A full disk as a rule. Whatever it is, the command must not come to feel it.
            self._look_at = time.monotonic() + _RETRY_SECONDS
            self._cut_torn()
            return False
        self._size += len(record)
        self._digest.update(data)
        self.length += len(data)
        self.spooled_end = offset + (len(data) if length is None else length)
        return True

    def _begin_segment(self, offset: int) -> None:
        path = self._folder / _name(offset)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._segments[-1] = (self._segments[-1][0], self._size)
        self._descriptor, self._size = descriptor, 0
        self._segments.append((path, 0))

    def _cut_torn(self) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
                os.lseek(self._descriptor, self._size, os.SEEK_SET)

    def _has_room(self, wanted: int) -> bool:
        if time.monotonic() < self._look_at:
            return False
        used = self._size + sum(size for _, size in self._segments)
        while used + wanted > self._room and len(self._segments) > 1:
            path, size = self._segments[0]
            if path.exists():
                self._look_at = time.monotonic() + _LOOK_SECONDS
                return False
            self._segments.popleft()
            used -= size
        return used + wanted <= self._room

    def _write_tail(self) -> None:
        """What it cannot write it goes on holding."""
        self._cut_tail()
        start = self.end - self._tail_held
        gap = start - self.spooled_end
        if gap and not self._write(_GAP, self.spooled_end, b"", gap):
            return
        while self._tail and self._write(self._tail[0][0], start, bytes(self._tail[0][1])):
            written = len(self._tail.popleft()[1])
            start += written
            self._tail_held -= written

    def _hold(self, kind: bytes, data: bytes) -> None:
        if self._tail and self._tail[-1][0] == kind and len(self._tail[-1][1]) < _PIECE_BYTES:
            self._tail[-1][1].extend(data)
        else:
            self._tail.append((kind, bytearray(data)))
        self._tail_held += len(data)
        while self._tail_held - len(self._tail[0][1]) >= self._tail_bytes:
            self._tail_held -= len(self._tail.popleft()[1])

    def _cut_tail(self) -> None:
        """To its size: whole pieces alone go while a command floods."""
        surplus = self._tail_held - self._tail_bytes
        if surplus > 0:
            del self._tail[0][1][:surplus]
            self._tail_held -= surplus

    def _pause(self, kind: bytes) -> float:
        now = time.monotonic()
        earned = (now - self._switched_at) * _SWITCHES_PER_SECOND
        self._switches = min(_SWITCHES_BURST, self._switches + earned)
        self._switched_at = now
        if kind != self._last:
            self._last = kind
            self._switches -= 1
        return 0.05 if self._switches < 0 else 0.0


def _sync(path: Path) -> None:
    if path.is_dir():
        durable.sync_folder(path)
        return
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Chunk:
    """`data` begins at `offset`; `skipped` bytes before it were dropped."""

    offset: int
    stream: str
    data: bytes
    skipped: int = 0

    @property
    def end(self) -> int:
        return self.offset + len(self.data)


class SpoolReader:
    """Reads in order from any offset. What is missing of the segments is skipped like a gap."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor = -1
        self._segment = -1
        self._position = 0
        self.offset = 0
        """Where the next chunk begins, gaps aside."""

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = self._segment = -1

    def available(self) -> int:
        """Bytes of the segments beyond what was read, headers included."""
        if self._descriptor < 0 and not self._open_next():
            return 0
        sizes = os.fstat(self._descriptor).st_size - self._position
        for start in _starts(self._folder):
            if start > self._segment:
                with contextlib.suppress(FileNotFoundError):
                    sizes += (self._folder / _name(start)).stat().st_size
        return sizes

    def read(self, at_most: int) -> Chunk | None:
        """The next bytes of one stream, several records of it joined; None at the end."""
        start, skipped, stream = self.offset, 0, ""
        pieces: list[bytes] = []
        size = 0
        while size < at_most:
            head = self._head()
            if head is None:
                break
            kind, offset, _ = head
            if kind == _GAP or offset > self.offset:
                if pieces:
                    break
                skipped += self._pass_over(head)
                start = self.offset
                continue
            if stream not in ("", _STREAMS[kind]):
                break
            stream = _STREAMS[kind]
            piece = self._take(head, at_most - size)
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
        if not pieces and not skipped:
            return None
        return Chunk(start, stream or "stdout", b"".join(pieces), skipped)

    def seek(self, offset: int) -> None:
        """Go on from this offset; from the end when there is less than that."""
        self.close()
        self.offset = offset
        starts = [start for start in _starts(self._folder) if start <= offset]
        if not starts or not self._open(starts[-1]):
            return
        self.offset = starts[-1]
        while self.offset < offset and (head := self._head()) is not None:
            _, begin, length = head
            if offset < begin + length:
                self.offset = offset
            elif begin > self.offset:
                self.offset = begin
            else:
                self._step(head)

    def release(self, upto: int) -> None:
        """Remove the segments that lie wholly before this offset: the server has them."""
        starts = _starts(self._folder)
        doomed = [start for start, end in pairwise(starts) if end <= upto]
        if not doomed:
            return
        with contextlib.suppress(OSError):
            (self._folder / _RELEASED).write_text(_name(starts[len(doomed)]))
        for start in doomed:
            (self._folder / _name(start)).unlink(missing_ok=True)

    def summary(self) -> tuple[int, str]:
        """Length and SHA-256 of all bytes the spool holds; reads to the end for it."""
        self.seek(0)
        length, digest = 0, hashlib.sha256()
        while (chunk := self.read(1024 * 1024)) is not None:
            length += len(chunk.data)
            digest.update(chunk.data)
        return length, digest.hexdigest()

    def survey(self) -> tuple[int, int, bool]:
        """Where its first segment begins, where its last record ends, and whether everything in
        between is there and nothing but what was released is missing before it."""
        starts = _starts(self._folder)
        if not starts:
            return 0, 0, True
        self.seek(starts[0])
        is_whole = starts[0] == self._released()
        while (head := self._head()) is not None:
            is_whole = is_whole and head[1] == self.offset
            self._step(head)
        return starts[0], self.offset, is_whole

    def _released(self) -> int:
        try:
            return int((self._folder / _RELEASED).read_text(), 16)
        except (OSError, ValueError):
            return 0

    def _open(self, start: int) -> bool:
        try:
            descriptor = os.open(self._folder / _name(start), os.O_RDONLY)
        except FileNotFoundError:
            return False
        self.close()
        self._descriptor, self._segment = descriptor, start
        self._position = 0
        return True

    def _open_next(self) -> bool:
        """The shim may not have begun it yet."""
        later = [start for start in _starts(self._folder) if start > self._segment]
        return bool(later) and self._open(later[0])

    def _head(self) -> tuple[bytes, int, int] | None:
        """Of the record that is read next; one that begins later is there where bytes are missing."""
        while self._descriptor >= 0 or self._open_next():
            if (head := self._record()) is not None:
                return head
            if _starts(self._folder)[-1:] <= [self._segment]:
                return None
            # Nothing is added to a segment after the next was begun, but until then it may be.
            if (head := self._record()) is not None:
                return head
            if not self._open_next():
                return None
        return None

    def _record(self) -> tuple[bytes, int, int] | None:
        raw = os.pread(self._descriptor, HEAD.size, self._position)
        if len(raw) < HEAD.size:
            return None
        kind, offset, length = HEAD.unpack(raw)
        is_one = kind in (_STDOUT, _STDERR, _GAP) and self.offset <= offset + length
        return (kind, offset, length) if is_one else None

    def _pass_over(self, head: tuple[bytes, int, int]) -> int:
        """Steps over a gap, or to a record that begins later; answers the bytes that are missing."""
        kind, offset, _ = head
        before = self.offset
        if kind == _GAP:
            self._step(head)
        else:
            self.offset = offset
        return self.offset - before

    def _take(self, head: tuple[bytes, int, int], at_most: int) -> bytes:
        """Up to `at_most` bytes of a record from where we are in it; steps over it at its end."""
        _, offset, length = head
        done = self.offset - offset
        wanted = min(length - done, at_most)
        piece = os.pread(self._descriptor, wanted, self._position + HEAD.size + done)
        if len(piece) < wanted:
            return b""
        self.offset += len(piece)
        if self.offset == offset + length:
            self._step(head)
        return piece

    def _step(self, head: tuple[bytes, int, int]) -> None:
        kind, offset, length = head
        self._position += HEAD.size + (0 if kind == _GAP else length)
        self.offset = offset + length
