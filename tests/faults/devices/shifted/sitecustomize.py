"""A wall clock that is wrong, for a Python that finds this folder in PYTHONPATH: by as many seconds
as the file named in DEPLOYX_FAULT_SHIFT says at that moment."""

from __future__ import annotations

import datetime
import os
import time

_FILE = os.environ["DEPLOYX_FAULT_SHIFT"]
_read = {name: getattr(time, name) for name in ("time", "time_ns", "clock_gettime")}


def _shift() -> float:
    with open(_FILE) as file:  # noqa: PTH123
        return float(file.read())


class _Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> _Shifted:
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls) -> _Shifted:
        return cls.now(datetime.UTC).replace(tzinfo=None)


def _clock_gettime(clock: int) -> float:
    told: float = _read["clock_gettime"](clock)
    return told + _shift() if clock == time.CLOCK_REALTIME else told


time.time = lambda: _read["time"]() + _shift()
time.time_ns = lambda: _read["time_ns"]() + int(_shift() * 1e9)
time.clock_gettime = _clock_gettime
datetime.datetime = _Shifted  # type: ignore[misc]
