"""A run's `detail`, made to fit into the protocol: nothing in it that a database cannot store, and not
too much of it.

Apart from the protocol itself, which a shim does not load.
"""

from __future__ import annotations

import json
import re
from typing import Any

from .kinds import JsonObject

MOST_BYTES = 15 * 1024
"""Of the protocol's 16 KiB, which it weighs a little differently."""
_MOST_SUMMARY = 2_000
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SHARES = {"installed": 0.75, "kept": 0.5, "steps": 1.0}
"""What is shortened, and how much of the room that is left by then it may take. The inventory is made
of `installed`, and of `kept` somebody must be left to tell that there is something to be put back."""


def fit(detail: JsonObject) -> JsonObject:
    """`<name>_left_out` says by how much a list was shortened. Fitting again changes nothing."""
    plain: JsonObject = _storable(detail)
    summary = plain.get("summary")
    plain["summary"] = summary[:_MOST_SUMMARY] if isinstance(summary, str) else ""
    if _weight(plain) <= MOST_BYTES:
        return plain
    fitted = {name: value for name, value in plain.items() if name not in _SHARES}
    for name, share in _SHARES.items():
        if isinstance(items := plain.get(name), list) and items:
            told = _weight({**fitted, f"{name}_left_out": len(items)})
            begun = _beginning(items, (MOST_BYTES - told) * share - len(name) - 6)
            fitted[name] = begun
            if left_out := len(items) - len(begun):
                fitted[f"{name}_left_out"] = left_out
    return fitted


def _beginning(items: list[Any], room: float) -> list[Any]:
    for number, item in enumerate(items):
        room -= _weight(item) + 2
        if room < 0:
            return items[:number]
    return items


def _weight(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub("", value)
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value
