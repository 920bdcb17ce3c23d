from __future__ import annotations

import secrets
import time
import uuid


def uuid7() -> uuid.UUID:
    """A time-ordered UUID, version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random.

    Order over ids is therefore order over time, to the millisecond, which is what cursors rely on.
    """
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (2**48 - 1)) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)
