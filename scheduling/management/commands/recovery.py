from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from accounts.columns import aligned
from accounts.errors import InvalidInput, StateConflict
from devices.models import Device
from scheduling import recovery
from scheduling.cli import finding, values

HEADING = ("ID", "NAME", "STATUS", "LAST SEEN")


class Command(BaseCommand):
    requires_system_checks = ()  # they load every page
    help = "After a restore: devices tell what they know of their runs before any of them goes on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        on = actions.add_parser("on", help="mark every device; before anything else is started")
        on.add_argument(
            "--backup-taken-at",
            type=values.instant,
            metavar="INSTANT",
            help="when the restored backup was taken; without it, each run's own age is believed",
        )
        off = actions.add_parser(
            "off", help="wait no longer: what a device has not told of is lost, and says so"
        )
        off.add_argument("device", nargs="?", metavar="DEVICE", help="id or name; default: all")
        actions.add_parser("status", help="which devices have not answered yet")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        try:
            getattr(self, f"_{action}")(options)
        except InvalidInput as problem:
            raise CommandError(str(problem), returncode=2) from None
        except StateConflict as problem:
            raise CommandError(str(problem)) from None

    def _on(self, options: dict[str, Any]) -> None:
        begun = recovery.begin(options["backup_taken_at"])
        said = _(
            "Devices marked: %(devices)s. Tasks with missed occurrences: %(tasks)s."
            " Waiting executions skipped: %(queued)s."
        )
        words = {"devices": begun.devices, "tasks": begun.tasks, "queued": begun.queued}
        self.stdout.write(said % words)

    def _off(self, options: dict[str, Any]) -> None:
        named = options["device"]
        ended = recovery.end(finding.any_device(named) if named else None)
        said = _("Devices no longer waited for: %(devices)s. Runs lost: %(lost)s.")
        self.stdout.write(said % {"devices": ended.devices, "lost": ended.lost})

    def _status(self, options: dict[str, Any]) -> None:
        status = recovery.status()
        self.stdout.write(status.sentence() or _("Recovery mode is off."))
        if status.is_on:
            marked = Device.objects.filter(in_recovery=True)
            self.stdout.write(aligned([HEADING, *map(_row, marked)]))


def _row(device: Device) -> tuple[str, ...]:
    seen = device.last_seen_at
    return (
        str(device.pk),
        device.name,
        str(device.status.label),
        f"{seen:%Y-%m-%d %H:%M} UTC" if seen else "",
    )
