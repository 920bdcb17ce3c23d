"""Django's deployment checks on the settings that production has; any warning is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def main() -> int:
    production = {
        "DATABASE_URL": "postgresql://deployx@database.invalid/deployx",
        "REDIS_URL": "redis://redis.invalid:6379/0",
        "DEPLOYX_SECRET_KEY": "".join(chr(33 + number % 90) for number in range(100)),
        "DEPLOYX_PUBLIC_URL": "https://deployx.invalid",
        "DEPLOYX_BEHIND_PROXY": "true",
    }
    inherited = {name: value for name, value in os.environ.items() if "DEPLOYX" not in name}
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=Path(__file__).resolve().parent.parent,
        env={**inherited, **production},
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
