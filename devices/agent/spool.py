"""A run's output on its way out, on the device's disk.

The shim appends records as it reads them; the agent reads them while the run goes on and again
after any restart. A record is a kind (`o` stdout, `e` stderr, `g` gap), the offset of its first
byte in the run's whole output, its length, and, but for a gap, its bytes. An incomplete record
at the end is a write under way, or one that a crash cut off.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from . import durable

HEAD = struct.Struct(">cQQ")
_STDOUT, _STDERR, _GAP = b"o", b"e", b"g"
_KINDS = {"stdout": _STDOUT, "stderr": _STDERR}
_STREAMS = {_STDOUT: "stdout", _STDERR: "stderr"}
_MOST_TAIL_BYTES = 8 * 1024 * 1024
_INDEX_EVERY = 256 * 1024
_PIECE_BYTES = 64 * 1024
_SWITCHES_PER_SECOND = 20.0
_SWITCHES_BURST = 60.0


class SpoolWriter:
    """Never waits for anybody but the disk. Past its size it keeps the newest bytes in memory,
    an eighth of the spool, and counts what falls out between them and the first ones."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._tail_bytes = min(_MOST_TAIL_BYTES, max_bytes // 8)
        self._room = max_bytes - self._tail_bytes
        self._tail: deque[tuple[bytes, bytearray]] = deque()
        self._tail_held = 0
        self._written = 0
        self._spooled_end = 0
        self._is_full = False
        self._is_closed = False
        self._lock = threading.Lock()
        self._last = b""
        self._switches = _SWITCHES_BURST
        self._switched_at = time.monotonic()
        self.end = 0

    def append(self, stream: str, data: bytes) -> float:
        """How many seconds the reader had better wait before it reads on: streams that take
        turns in small pieces would otherwise cost a frame for each piece."""
        kind = _KINDS[stream]
        with self._lock:
            if self._is_closed or not data:
                return 0.0
            self.end += len(data)
            if self._is_full or not self._write(kind, self.end - len(data), data):
                self._is_full = True
                self._hold(kind, data)
            return self._pause(kind)

    def close(self) -> None:
        """Write what was held back and make all of it last."""
        with self._lock:
            self._is_closed = True
            self._room = sys.maxsize
            start = self.end - self._tail_held
            gap = start - self._spooled_end
            fits = gap == 0 or self._write(_GAP, self._spooled_end, b"", gap)
            for kind, data in self._tail:
                fits = fits and self._write(kind, start, bytes(data))
                start += len(data)
            with contextlib.suppress(OSError):
                os.fsync(self._descriptor)
            os.close(self._descriptor)

    def _write(self, kind: bytes, offset: int, data: bytes, length: int | None = None) -> bool:
        record = HEAD.pack(kind, offset, len(data) if length is None else length) + data
        if self._written + len(record) > self._room:
            return False
        try:
            durable.write_all(self._descriptor, record)
        except OSError:
            # A full disk as a rule. Whatever it is, the command must not come to feel it.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._written)
                os.lseek(self._descriptor, self._written, os.SEEK_SET)
            return False
        self._written += len(record)
        self._spooled_end = offset + (len(data) if length is None else length)
        return True

    def _hold(self, kind: bytes, data: bytes) -> None:
        if self._tail and self._tail[-1][0] == kind and len(self._tail[-1][1]) < _PIECE_BYTES:
            self._tail[-1][1].extend(data)
        else:
            self._tail.append((kind, bytearray(data)))
        self._tail_held += len(data)
        while self._tail_held > self._tail_bytes:
            kind, oldest = self._tail.popleft()
            surplus = self._tail_held - self._tail_bytes
            self._tail_held -= min(surplus, len(oldest))
            if surplus < len(oldest):
                self._tail.appendleft((kind, oldest[surplus:]))

    def _pause(self, kind: bytes) -> float:
        now = time.monotonic()
        earned = (now - self._switched_at) * _SWITCHES_PER_SECOND
        self._switches = min(_SWITCHES_BURST, self._switches + earned)
        self._switched_at = now
        if kind != self._last:
            self._last = kind
            self._switches -= 1
        return 0.05 if self._switches < 0 else 0.0


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
    """Reads in order from any offset, and keeps the digest of every byte there is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._position = 0
        self._skip = 0
        self._hashed_to = 0
        self._digest = hashlib.sha256()
        self._length = 0
        self._index: list[tuple[int, int]] = [(0, 0)]
        self.offset = 0
        """Where the next chunk begins, gaps aside."""

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def available(self) -> int:
        """Bytes of the file beyond what was read, headers included."""
        if not self._is_open():
            return 0
        return os.fstat(self._descriptor).st_size - self._position

    def read(self, at_most: int) -> Chunk | None:
        """The next bytes of one stream, several records of it joined; None at the end."""
        start, skipped, stream = self.offset, 0, ""
        pieces: list[bytes] = []
        size = 0
        while size < at_most:
            head = self._head()
            if head is None:
                break
            kind, offset, length = head
            if kind == _GAP:
                if pieces:
                    break
                skipped += offset + length - self.offset
                self._step(head)
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
        place = max(entry for entry in self._index if entry[0] <= offset)
        self.offset, self._position = place
        self._skip = 0
        while self.offset < offset and (head := self._head()) is not None:
            kind, begin, length = head
            if kind == _GAP and begin + length > offset:
                self._skip = 0
                self.offset = offset
                return
            if kind == _GAP:
                self._step(head)
            elif not self._take(head, offset - self.offset):
                return

    def summary(self) -> tuple[int, str]:
        """Length and SHA-256 of all bytes the spool holds; reads to the end for it."""
        while self.read(1024 * 1024) is not None:
            pass
        return self._length, self._digest.hexdigest()

    def _is_open(self) -> bool:
        """The shim may not have begun the file yet."""
        if self._descriptor < 0:
            with contextlib.suppress(FileNotFoundError):
                self._descriptor = os.open(self._path, os.O_RDONLY)
        return self._descriptor >= 0

    def _head(self) -> tuple[bytes, int, int] | None:
        if not self._is_open():
            return None
        raw = os.pread(self._descriptor, HEAD.size, self._position)
        if len(raw) < HEAD.size:
            return None
        kind, offset, length = HEAD.unpack(raw)
        if kind not in (_STDOUT, _STDERR, _GAP) or not offset <= self.offset <= offset + length:
            return None
        return kind, offset, length

    def _take(self, head: tuple[bytes, int, int], at_most: int) -> bytes:
        """Up to `at_most` bytes of a record from where we are in it; steps over it at its end."""
        _, _, length = head
        wanted = min(length - self._skip, at_most)
        begin = self._position + HEAD.size + self._skip
        piece = os.pread(self._descriptor, wanted, begin)
        if len(piece) < wanted:
            return b""
        self._hash(begin, piece)
        self.offset += len(piece)
        self._skip += len(piece)
        if self._skip == length:
            self._step(head)
        return piece

    def _step(self, head: tuple[bytes, int, int]) -> None:
        kind, offset, length = head
        self._position += HEAD.size + (0 if kind == _GAP else length)
        self._skip = 0
        self.offset = offset + length
        if self._position >= self._index[-1][1] + _INDEX_EVERY:
            self._index.append((self.offset, self._position))

    def _hash(self, begin: int, piece: bytes) -> None:
        fresh = begin + len(piece) - self._hashed_to
        if fresh > 0:
            new = piece[-fresh:] if fresh < len(piece) else piece
            self._digest.update(new)
            self._length += len(new)
            self._hashed_to = begin + len(piece)
