from __future__ import annotations

import os
import signal
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from deployx.embedded.binaries import NoWheel
from deployx.embedded.home import Unsafe
from deployx.embedded.postgres import CannotInitialise
from deployx.supervisor import NeverReady
from deployx.uprising import AlreadyUp, PortTaken, Uprising


class Command(BaseCommand):
    help = (
        "Runs the whole system on this machine: PostgreSQL and Redis where DATABASE_URL and"
        " REDIS_URL name none, web, worker, beat and one local agent. Ctrl-C ends it."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012  (Django's own declaration)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--port", default=os.environ.get("PORT", "8000"), help="default: $PORT or 8000"
        )
        parser.add_argument("--without-agent", action="store_true", help="start no local agent")

    def handle(self, *args: Any, **options: Any) -> None:
        uprising = Uprising(
            port=_port(options["port"]),
            folder=settings.DEPLOYX_HOME,
            with_agent=not options["without_agent"],
            say=self._say,
        )
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, uprising.ask_to_stop)
        try:
            uprising.run()
        except (AlreadyUp, CannotInitialise, NeverReady, NoWheel, PortTaken, Unsafe) as error:
            raise CommandError(str(error)) from error

    def _say(self, line: str) -> None:
        self.stdout.write(f"{'deployx':<8} | {line}")
        self.stdout.flush()


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65_535:
        raise CommandError(f"PORT must be a number from 1 to 65535, not {text!r}.")
    return int(text)
