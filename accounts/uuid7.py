from __future__ import annotations

import secrets
import time
import uuid
from datetime import datetime


def uuid7() -> uuid.UUID:
    """A time-ordered UUID, version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random.

    Order over ids is therefore order over time, to the millisecond, which is what cursors rely on.
    """
    return _uuid(time.time_ns() // 1_000_000, secrets.randbits(80))


def earliest(moment: datetime) -> uuid.UUID:
    """The least id that could have been made at this moment or later."""
    return _uuid(max(0, int(moment.timestamp() * 1_000)), 0)


def _uuid(milliseconds: int, random: int) -> uuid.UUID:
    value = (milliseconds & (2**48 - 1)) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)
