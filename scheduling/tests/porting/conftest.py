from __future__ import annotations

from scheduling.tests.cli.conftest import manage, schedule

__all__ = ["manage", "schedule"]
