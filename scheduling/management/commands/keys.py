from __future__ import annotations

import base64
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from accounts.columns import aligned
from devices import keys
from devices.agent import protocol
from devices.models import ServerKey
from scheduling import rotation

HEADING = ("KEY", "SINCE", "RETIRED", "FINGERPRINT", "PUBLIC KEY")


class Command(BaseCommand):
    requires_system_checks = ()  # they load every page
    help = "Makes, lists and replaces the key that signs what devices run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        actions.add_parser("ensure", help="make the first key, where there is none yet")
        actions.add_parser("list", help="list the public halves of all keys, the current one last")
        rotate = actions.add_parser(
            "rotate", help="replace the key; where worker and beat run, as their user or root"
        )
        rotate.add_argument(
            "--compromised",
            action="store_true",
            help="cancel what the old key signed and has not started, instead of signing it anew",
        )

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        try:
            getattr(self, f"_{action}")(options)
        except (keys.SigningKeyError, OSError) as problem:
            raise CommandError(str(problem)) from None

    def _ensure(self, options: dict[str, Any]) -> None:
        self.stdout.write(keys.ensure_key())

    def _list(self, options: dict[str, Any]) -> None:
        since = dict(ServerKey.objects.values_list("key_id", "created_at"))
        retired = dict(ServerKey.objects.values_list("key_id", "retired_at"))
        rows = [
            (
                link.key_id,
                _instant(since[link.key_id]),
                _instant(retired[link.key_id]),
                protocol.fingerprint(link.public_key),
                base64.b64encode(link.public_key).decode(),
            )
            for link in keys.chain()
        ]
        self.stdout.write(aligned([HEADING, *rows]))

    def _rotate(self, options: dict[str, Any]) -> None:
        if options["compromised"]:
            self._say_compromised(rotation.rotate_compromised())
        else:
            self._say(rotation.rotate())

    def _say(self, done: rotation.Rotated) -> None:
        self.stdout.write(_("The key is now %s.") % done.key_id)
        self.stdout.write(_("Waiting runs signed anew: %s.") % done.signed_anew)
        if done.left:
            said = _("Left as they are: %s, altered since they were signed; devices refuse them.")
            self.stderr.write(said % done.left)

    def _say_compromised(self, done: rotation.Rotated) -> None:
        self.stdout.write(_("The key is now %s.") % done.key_id)
        self.stdout.write(_("Waiting runs cancelled: %s.") % done.cancelled)
        said = _("On devices that must not follow the old key's word: deployx-agent trust %s")
        key = base64.b64encode(keys.current_public_key()).decode()
        self.stdout.write(said % key)


def _instant(moment: datetime | None) -> str:
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M UTC")
