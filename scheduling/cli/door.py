"""What the commands with verbs have in common: who acts, how refusals are said, JSON or words."""

from __future__ import annotations

import sys
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from accounts.errors import InvalidInput, NotAllowed, StateConflict, Unavailable
from scheduling.cli import finding, rendering

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from rich.table import Table

REFUSED, WRONG_INPUT = 1, 2
Verbs = Mapping[str, tuple[str, Callable[[ArgumentParser], None]]]


class VerbCommand(BaseCommand):
    """One method `do_…` a verb: it calls the verb's function and shows what came of it."""

    requires_system_checks = ()  # they load every page

    def handle(self, *args: Any, **options: Any) -> None:
        no_color = bool(options["no_color"])
        self._out = rendering.console(options.get("stdout") or sys.stdout, no_color=no_color)
        self._err = rendering.console(options.get("stderr") or sys.stderr, no_color=no_color)
        try:
            code = self.act(options)
        except InvalidInput as refusal:
            for name, messages in refusal.errors.items():
                for message in messages:
                    self._err.print(rendering.text(f"{name}: {message}"))
            sys.exit(WRONG_INPUT)
        except (StateConflict, NotAllowed, Unavailable) as refusal:
            self._err.print(rendering.text(refusal.detail))
            sys.exit(REFUSED)
        if code:
            sys.exit(code)

    def act(self, options: Mapping[str, Any]) -> int | None:
        verb: Callable[[User, Mapping[str, Any]], int | None] = getattr(
            self, f"do_{options['verb']}"
        )
        return verb(finding.person(options["user"]), options)

    def _agrees(self, question: str, options: Mapping[str, Any]) -> bool:
        """Names what is destroyed and asks; nobody there to answer means no."""
        if options["yes"]:
            return True
        self._err.print(rendering.text(question + _(" Go on? [y/N] ")), end="")
        try:
            if input().strip().lower() in ("y", "yes"):
                return True
        except EOFError:
            self._err.print(_("Nobody answers here: say --yes."))
        self._err.print(_("Nothing was changed."))
        return False

    def _show(self, value: Any, options: Mapping[str, Any], words: Callable[[], Table]) -> None:
        """JSON as the API answers it, or a table."""
        if options["as_json"]:
            rendering.print_json(self._out, value)
        else:
            self._out.print(words())

    def _said(self, row: Mapping[str, str], options: Mapping[str, Any], words: str) -> None:
        """What was done to one thing."""
        if options["as_json"]:
            rendering.print_json(self._out, row)
        else:
            self._out.print(rendering.text(words))


def add_verbs(parser: CommandParser, verbs: Verbs) -> None:
    """Each with `--user` and `--json`."""
    added = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (summary, add_arguments) in verbs.items():
        verb = added.add_parser(name, help=summary, description=summary.capitalize() + ".")
        add_arguments(verb)
        verb.add_argument(
            "--user", metavar="NAME", help="act as this account (default: the first administrator)"
        )
        verb.add_argument(
            "--json", action="store_true", dest="as_json", help="print JSON, named as in the API"
        )


def add_yes(parser: ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--no-input", action="store_true", dest="yes", help=SUPPRESS)


def add_search(parser: ArgumentParser) -> None:
    parser.add_argument("--search", metavar="TEXT", help="a part of the name")
    parser.add_argument(
        "--limit", type=int, default=100, metavar="NUMBER", help="at most (default 100)"
    )


def limited(rows: Any, options: Mapping[str, Any]) -> list[Any]:
    return list(rows[: max(1, options["limit"])])
