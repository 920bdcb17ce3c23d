"""`manage.py apitoken`."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import tokens
from accounts.columns import aligned
from accounts.errors import InvalidInput
from accounts.expiry import parse_expiry
from accounts.models import ApiToken
from accounts.pages import identifier

HEADING = ("ID", "NAME", "USER", "SCOPES", "EXPIRES", "LAST USED", "REVOKED")


class Command(BaseCommand):
    requires_system_checks = ()  # they load every page
    help = "Makes, lists and revokes people's keys to the API."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        add = actions.add_parser("add", help="print a new token, and nothing else")
        add.add_argument("--user", required=True, metavar="NAME", help="whose rights it has")
        scopes = ", ".join(ApiToken.Scope.values)
        add.add_argument("--scopes", default="", metavar="A,B", help=f"of {scopes}; default: all")
        add.add_argument("--expires", metavar="WHEN", help="24h, 30d or a date; default: never")
        add.add_argument("--name", default=_("Command line"), help="what to list it as")
        listing = actions.add_parser("list", help="list the tokens; their text is not kept")
        listing.add_argument("--user", metavar="NAME", help="only this person's")
        revoke = actions.add_parser("revoke", help="make a token useless")
        revoke.add_argument("token", metavar="ID", help="as `list` shows it")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        try:
            getattr(self, f"_{action}")(options)
        except (InvalidInput, ValueError) as problem:
            raise CommandError(str(problem)) from None

    def _add(self, options: dict[str, Any]) -> None:
        expires = options["expires"]
        _token, key = tokens.issue(
            _user(options["user"]),
            options["name"],
            [scope.strip() for scope in options["scopes"].split(",") if scope.strip()],
            parse_expiry(expires, timezone.now()) if expires else None,
        )
        self.stdout.write(key)

    def _list(self, options: dict[str, Any]) -> None:
        listed = ApiToken.objects.select_related("user")
        if options["user"]:
            listed = listed.filter(user=_user(options["user"]))
        self.stdout.write(aligned([HEADING, *map(_row, listed)]))

    def _revoke(self, options: dict[str, Any]) -> None:
        pk = identifier(options["token"])
        token = ApiToken.objects.filter(pk=pk).first() if pk else None
        if token is None:
            raise CommandError(_("There is no token “%s”.") % options["token"])
        tokens.revoke(token)
        self.stdout.write(_("Revoked."))


def _user(name: str) -> User:
    user = User.objects.filter(username=name).first()
    if user is None:
        raise CommandError(_("There is no user “%s”.") % name)
    return user


def _row(token: ApiToken) -> tuple[str, ...]:
    return (
        str(token.pk),
        token.name,
        token.user.get_username(),
        ",".join(token.scopes),
        *map(_instant, (token.expires_at, token.last_used_at, token.revoked_at)),
    )


def _instant(moment: datetime | None) -> str:
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M UTC")
