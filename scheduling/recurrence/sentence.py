"""A rule in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def of(recurrence_type: str, config: Mapping[str, Any], zone: str) -> str:
    return f"{recurrence_type}, {zone}"
