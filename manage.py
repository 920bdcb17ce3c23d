#!/usr/bin/env python3
from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployx.settings")
    # Zones come from the tzdata package, so that every node of an installation agrees on them.
    os.environ["PYTHONTZPATH"] = ""
    if sys.argv[1:2] != ["up"]:
        # What a person asked for is on the screen; the log is for what runs by itself.
        os.environ.setdefault("DEPLOYX_LOG_LEVEL", "WARNING")
    from django.core.management import execute_from_command_line  # noqa: PLC0415
    from django.db import OperationalError  # noqa: PLC0415
    from environs import EnvValidationError  # noqa: PLC0415

    try:
        execute_from_command_line(sys.argv)
    except EnvValidationError as error:
        wrong = [f"  {name}: {' '.join(said)}" for name, said in error.error_messages.items()]
        sys.exit("\n".join(["The environment is not right:", *wrong]))
    except OperationalError as error:
        from deployx.errors import without_database  # noqa: PLC0415

        sys.exit(without_database(error))


if __name__ == "__main__":
    main()
