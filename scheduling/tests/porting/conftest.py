from __future__ import annotations

from scheduling.tests.cli.conftest import schedule

__all__ = ["schedule"]
