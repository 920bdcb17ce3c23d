from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from scheduling import lost_kinds

if TYPE_CHECKING:
    from devices.agent import kinds


def to_bytes(payload: Any) -> bytes:
    """The exact bytes of a payload, which are digested, signed for and sent; once an execution has
    them, nobody writes them a second time."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def from_bytes(data: bytes) -> Any:
    """The meaning of an execution's stored payload."""
    return json.loads(data)


def summary(task_type: str, payload: kinds.JsonObject) -> str:
    """A task's payload in a few words; its type alone where this server has none of that name."""
    kind = lost_kinds.find(task_type)
    return kind.summary(payload) if kind else task_type
