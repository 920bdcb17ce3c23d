"""Versions of the agent, compared by both ends."""

from __future__ import annotations


def version_number(version: str) -> tuple[int, ...]:
    """To compare by; 1.0 and 1.0.0 are the same. Raises ValueError for what is no version."""
    parts = [int(part) for part in version.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)
