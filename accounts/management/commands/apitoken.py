from __future__ import annotations

from accounts.management.apitoken import Command

__all__ = ["Command"]
