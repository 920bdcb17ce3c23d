from __future__ import annotations

from devices.management.enroll_token import Command

__all__ = ["Command"]
