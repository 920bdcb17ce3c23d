"""The server's time, carried on by a clock nobody can set."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from .platforms import boot_clock


class ServerClock:
    """Instants from the server are compared with instants from the server; the device's own
    wall clock may be years off."""

    def __init__(self, read: Callable[[], float] = boot_clock) -> None:
        self._read = read
        self._told: datetime | None = None
        self._at = 0.0

    def tell(self, server_time: datetime) -> None:
        self._told = server_time
        self._at = self._read()

    def now(self) -> datetime | None:
        """None before the server has been heard once."""
        if self._told is None:
            return None
        return self._told + timedelta(seconds=self._read() - self._at)
