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
        sys.exit(_without_database(error))


def _without_database(error: Exception) -> str:
    from django.conf import settings  # noqa: PLC0415

    said = str(error).strip().splitlines()[0]
    if settings.IS_EMBEDDED:
        return f"No database: the system of this checkout is not running. Run make up.\n({said})"
    return f"The database does not answer: {said}"


if __name__ == "__main__":
    main()
