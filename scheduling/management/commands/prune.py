from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from scheduling import pruning

INTERRUPTED = 130


class Command(BaseCommand):
    requires_system_checks = ()  # they load every page
    help = (
        "Deletes output, history and records that are past their time (DEPLOYX_KEEP_…), as a worker"
        " does every night. May be interrupted, and goes on where it was."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="Only say how much it would delete."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self._numbers: pruning.Numbers = {}
        if options["dry_run"]:
            self._say(pruning.count())
            return
        try:
            self._numbers = pruning.prune(self._show)
        except KeyboardInterrupt:
            self._say(self._numbers)
            self.stderr.write(_("Interrupted. The next time goes on from here."))
            sys.exit(INTERRUPTED)
        if not self._numbers:
            self.stderr.write(_("Another process is at it."))
        self._say(self._numbers)

    def _show(self, numbers: pruning.Numbers) -> None:
        self._numbers = dict(numbers)
        if self.stderr.isatty():
            done = ", ".join(f"{name} {number:,}" for name, number in numbers.items() if number)
            self.stderr.write(f"\r{done}", ending="")

    def _say(self, numbers: pruning.Numbers) -> None:
        if self.stderr.isatty():
            self.stderr.write("")
        for name, number in numbers.items():
            self.stdout.write(f"{name:<20} {number:>12,}")
