"""`manage.py enroll-token`; a command's file is named as it is typed, which no module may be."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.columns import aligned
from accounts.errors import InvalidInput, StateConflict
from accounts.expiry import parse_expiry
from accounts.pages import identifier
from devices import enrollment
from devices.models import DeviceGroup, EnrollmentToken

HEADING = ("ID", "NAME", "GROUP", "USED", "STATUS", "EXPIRES")


class Command(BaseCommand):
    requires_system_checks = ()  # they load every page
    help = "Makes, lists and revokes the tokens with which machines become devices."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        add = actions.add_parser("add", help="print a new token, and nothing else")
        add.add_argument("--group", metavar="NAME", help="what enrols with it joins this group")
        add.add_argument("--uses", type=int, default=1, metavar="N", help="default: 1")
        add.add_argument("--expires", default="24h", metavar="WHEN", help="24h, 7d or a date")
        add.add_argument("--name", default="", help="what to list it as")
        actions.add_parser("list", help="list the tokens; their text is not kept anywhere")
        revoke = actions.add_parser("revoke", help="let nobody in with this token any more")
        revoke.add_argument("token", metavar="ID", help="as `list` shows it")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        try:
            getattr(self, f"_{action}")(options)
        except (InvalidInput, StateConflict, ValueError) as problem:
            raise CommandError(str(problem)) from None

    def _add(self, options: dict[str, Any]) -> None:
        now = timezone.now()
        _token, text = enrollment.issue(
            group=_group(options["group"]),
            uses_limit=options["uses"],
            expires_in=parse_expiry(options["expires"], now) - now,
            name=options["name"],
        )
        self.stdout.write(text)

    def _list(self, options: dict[str, Any]) -> None:
        tokens = EnrollmentToken.objects.select_related("group")
        self.stdout.write(aligned([HEADING, *map(_row, tokens)]))

    def _revoke(self, options: dict[str, Any]) -> None:
        pk = identifier(options["token"])
        token = EnrollmentToken.objects.filter(pk=pk).first() if pk else None
        if token is None:
            raise CommandError(_("There is no enrolment token “%s”.") % options["token"])
        enrollment.revoke(token)
        self.stdout.write(_("Revoked."))


def _group(name: str | None) -> DeviceGroup | None:
    if name is None:
        return None
    group = DeviceGroup.objects.filter(name=name).first()
    if group is None:
        raise CommandError(_("There is no group “%s”.") % name)
    return group


def _row(token: EnrollmentToken) -> tuple[str, ...]:
    return (
        str(token.pk),
        token.name,
        "" if token.group is None else token.group.name,
        f"{token.uses_count}/{token.uses_limit}",
        str(token.status.label),
        _instant(token.expires_at),
    )


def _instant(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
