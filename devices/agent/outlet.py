"""What a run's commands write, on its way from their pipes into the spool."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import IO

from .kinds.contract import StreamName
from .platforms import swallow, unread, wait_for_data, widen_pipe
from .spool import SpoolWriter

_DRAIN_SECONDS = 2.0
_STREAMS: tuple[StreamName, ...] = ("stdout", "stderr")
_READ_BYTES = 256 * 1024

log = logging.getLogger("deployx_agent.shim")


class Outlet:
    """Both streams on their way into the spool. A command that floods is never made to wait
    for more than a write to the disk's cache."""

    def __init__(self, spool: SpoolWriter) -> None:
        self._spool = spool
        self._writers: list[IO[bytes]] = []
        self._sources: list[int] = []
        self._locks = [threading.Lock() for _ in _STREAMS]
        """Each held from a read until the spool has what was read."""
        self._readers = [self._open(*one) for one in zip(_STREAMS, self._locks, strict=True)]

    @property
    def ends(self) -> tuple[IO[bytes], IO[bytes]]:
        return self._writers[0], self._writers[1]

    def drain(self) -> None:
        """Wait until no one holds the other end, or 2 s: what a command put into the
        background on purpose may hold it for ever. What was written by then is in the spool,
        whether or not the readers got that far."""
        for writer in self._writers:
            writer.close()
        until = time.monotonic() + _DRAIN_SECONDS
        for reader in self._readers:
            reader.join(max(0.0, until - time.monotonic()))
        for source, stream, lock in zip(self._sources, _STREAMS, self._locks, strict=True):
            with lock:
                left = unread(source)
                while left > 0 and (data := os.read(source, left)):
                    self._spool.append(stream, data)
                    left -= len(data)

    def leave_open(self, folder: Path) -> None:
        """What is still held by others gets a reader that outlives the shim: a program left in
        the background must not be killed by its next line."""
        for source, reader in zip(self._sources, self._readers, strict=True):
            if reader.is_alive():
                try:
                    swallow(source, folder)
                except OSError as problem:
                    log.error("nobody reads on what is left in the background: %s", problem)

    def _open(self, stream: StreamName, lock: threading.Lock) -> threading.Thread:
        source, target = os.pipe()
        widen_pipe(target)
        self._sources.append(source)
        self._writers.append(os.fdopen(target, "wb", buffering=0))
        reader = threading.Thread(target=self._pump, args=(source, stream, lock), daemon=True)
        reader.start()
        return reader

    def _pump(self, source: int, stream: StreamName, lock: threading.Lock) -> None:
        data = b"-"
        while data:
            wait_for_data(source)
            with lock:
                data = os.read(source, _READ_BYTES)
                pause = self._spool.append(stream, data)
            if pause and len(data) < _READ_BYTES // 4:
                time.sleep(pause)
