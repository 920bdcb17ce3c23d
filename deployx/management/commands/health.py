from __future__ import annotations

import socket
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError

from deployx import unheard
from scheduling import health, heartbeats, notices

PARTS = tuple(health.ADVICE)


class Command(BaseCommand):
    help = (
        "Says whether database, redis, worker and beat are well, a line each, or only what is named."
        " The exit code is 1 where one is not."
    )
    # A health check runs often, and asks how the system is, not whether its code is right.
    requires_system_checks: list[str] = []  # noqa: RUF012  (Django's own declaration)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("part", nargs="*", metavar="PART", help=", ".join(PARTS))
        parser.add_argument(
            "--here", action="store_true", help="worker and beat: only those of this machine count"
        )
        parser.add_argument(
            "--end-unheard",
            action="store_true",
            help="end a worker or beat of this machine that lives but has done nothing for minutes,"
            " so that whoever started it starts it again",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        named = options["part"] or list(PARTS)
        if unknown := sorted(set(named) - set(PARTS)):
            self.stderr.write(f"No such part: {', '.join(unknown)}. There are {', '.join(PARTS)}.")
            sys.exit(2)
        checks = {one.name: one for one in health.checks()}
        for name in named:
            if options["here"] and name in health.PROCESSES and checks["database"].ok:
                checks[name] = _here(name)
            if options["end_unheard"] and name in health.PROCESSES:
                self._end_unheard(name, checks)
            self.stdout.write(_line(checks[name]))
        if not options["part"]:
            for notice in notices.current() if checks["database"].ok else []:
                self.stdout.write(f"{notice.name:<9} NOTE    {notice.sentence}")
        sys.exit(0 if all(checks[name].ok for name in named) else 1)

    def _end_unheard(self, name: str, checks: dict[str, health.Check]) -> None:
        """Only where its silence is its own: nobody's heart beats without database and Redis."""
        if not checks[name].ok and checks["database"].ok and checks["redis"].ok:
            for pid in unheard.end_unheard(name):
                self.stderr.write(f"Ended {name} {pid}: it lived without working.")


def _here(name: str) -> health.Check:
    try:
        ok = heartbeats.alive(name, host=socket.gethostname()) > 0
    except (DatabaseError, InterfaceError):
        return health.Check(name, False, health.UNKNOWN)
    advice = f"No {name} of this machine is at work. Start one: celery -A deployx {name}."
    return health.Check(name, ok, "" if ok else advice)


def _line(check: health.Check) -> str:
    return f"{check.name:<9} ok" if check.ok else f"{check.name:<9} NOT OK  {check.what_to_do}"
