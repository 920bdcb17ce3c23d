from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from deployx.uprising import new_password
from devices import keys


class Command(BaseCommand):
    requires_system_checks = ()  # they load every page
    help = (
        "Makes ready whatever an installation needs before it starts: tables, translations, static"
        " files, the signing key, and a first administrator, whose random password is all it prints."
        " Where there is one already, it prints nothing. Safe to run again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--administrator", default="admin", metavar="NAME")
        parser.add_argument(
            "--with-token", metavar="NAME", help="print, last, a new enrolment token of this name"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        call_command("compilemessages", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        keys.ensure_key()
        if password := _administrator(options["administrator"]):
            self.stdout.write(password)
        if name := options["with_token"]:
            call_command("enroll-token", "add", "--name", name, stdout=self.stdout)


@transaction.atomic
def _administrator(name: str) -> str:
    """Makes the first one; its password, or nothing where there is one. Raises CommandError."""
    if User.objects.select_for_update().filter(is_superuser=True, is_active=True).exists():
        return ""
    if User.objects.filter(username=name).exists():
        raise CommandError(
            f"There is no active administrator, but an account {name}:"
            " name another with --administrator."
        )
    password = new_password()
    User.objects.create_superuser(name, password=password)
    return password
