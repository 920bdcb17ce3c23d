#!/usr/bin/env python3
from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployx.settings")
    # Zones come from the tzdata package, so that every node of an installation agrees on them.
    os.environ["PYTHONTZPATH"] = ""
    from django.core.management import execute_from_command_line  # noqa: PLC0415

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
