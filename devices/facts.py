"""What a device says of itself, made fit to be stored and shown."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Described:
    """The facts that have columns of their own; empty where the device did not say."""

    hostname: str
    os: str
    architecture: str


def described(facts: Mapping[str, Any]) -> Described:
    return Described(
        one_line(facts.get("hostname"), 255),
        one_line(facts.get("os"), 50),
        one_line(facts.get("architecture"), 50),
    )


def one_line(value: object, limit: int) -> str:
    """Text without control and format characters (a name cannot turn a page's line around), its
    white space single, at most `limit` characters; empty for anything but text."""
    if not isinstance(value, str):
        return ""
    spaced = " ".join(value.split())
    shown = "".join(char for char in spaced if not unicodedata.category(char).startswith("C"))
    return shown[:limit].strip()


def storable(value: Any) -> Any:
    """The JSON value with what PostgreSQL cannot hold (infinite numbers) as null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return value
