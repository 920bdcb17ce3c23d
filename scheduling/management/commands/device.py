from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser
from django.db.models import Q
from django.utils.translation import gettext as _

from devices import fleet
from devices.models import Device, DeviceGroup
from scheduling.cli import finding, rows, values
from scheduling.cli.door import REFUSED, VerbCommand, add_search, add_verbs, add_yes, limited
from scheduling.models import DeviceRun

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class Command(VerbCommand):
    help = "Shows devices, tags them, and takes them out of the fleet."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = {
            "list": ("the devices", _list),
            "show": ("one device, its groups and its software", _device),
            "tag": ("give a device tags, or take them away", _tag),
            "revoke": ("end a device's work for good, and keep its history", _ending),
            "delete": ("revoke a device and remove it; its history stays under its name", _ending),
        }
        add_verbs(parser, verbs)

    def do_list(self, user: User, options: Mapping[str, Any]) -> None:
        found = Device.objects.visible_to(user)
        if text := options["search"]:
            found = found.filter(Q(name__icontains=text) | Q(hostname__icontains=text))
        if options["group"]:
            found = found.filter(groups=finding.group(user, options["group"]))
        found = found.order_by("name", "pk")
        if options["status"]:
            found = found.filter(_STATES[options["status"]])
        listed = limited(found, options)
        if not listed and not options["as_json"]:
            self._out.print(_("No devices."))
            return
        shown = rows.devices_json(listed, user) if options["as_json"] else None
        self._show(shown, options, lambda: rows.devices(listed))

    def do_show(self, user: User, options: Mapping[str, Any]) -> None:
        self._show_device(finding.device(user, options["device"]), user, options)

    def do_tag(self, user: User, options: Mapping[str, Any]) -> None:
        device = finding.device(user, options["device"])
        tags = {name: text for name, text in device.tags.items() if name not in options["remove"]}
        tags |= dict(options["tags"])
        self._show_device(fleet.describe(device, user, {"tags": tags}), user, options)

    def do_revoke(self, user: User, options: Mapping[str, Any]) -> int | None:
        device = finding.device(user, options["device"])
        question = _("This revokes “%(name)s” for good: %(runs)s runs there end.")
        if not self._agrees(question % _ends(device), options):
            return REFUSED
        self._show_device(fleet.revoke(device, user), user, options)
        return None

    def do_delete(self, user: User, options: Mapping[str, Any]) -> int | None:
        device = finding.device(user, options["device"])
        question = _("This deletes “%(name)s”: %(runs)s runs there end, its history stays.")
        if not self._agrees(question % _ends(device), options):
            return REFUSED
        row = {"id": str(device.pk), "name": device.name}
        fleet.delete(device, user)
        self._said(row, options, _("“%s” is deleted.") % row["name"])
        return None

    def _show_device(self, device: Device, user: User, options: Mapping[str, Any]) -> None:
        groups = DeviceGroup.objects.visible_to(user).filter(devices=device)
        (shown,) = rows.devices_json([device], user)
        self._show(shown, options, lambda: rows.device(device, groups))


_STATES = {
    "online": Q(revoked_at=None, is_online=True),
    "offline": Q(revoked_at=None, is_online=False, last_seen_at__isnull=False),
    "never_connected": Q(revoked_at=None, last_seen_at=None),
    "revoked": Q(revoked_at__isnull=False),
}


def _ends(device: Device) -> dict[str, object]:
    return {"name": device.name, "runs": DeviceRun.objects.filter(device=device).unended().count()}


def _list(parser: ArgumentParser) -> None:
    add_search(parser)
    parser.add_argument("--status", choices=list(_STATES))
    parser.add_argument("--group", metavar="NAME", help="or id")


def _device(parser: ArgumentParser) -> None:
    parser.add_argument("device", metavar="DEVICE", help="its id or its exact name")


def _tag(parser: ArgumentParser) -> None:
    _device(parser)
    parser.add_argument("tags", nargs="*", type=values.variable, metavar="NAME=TEXT")
    parser.add_argument(
        "--remove", action="append", default=[], metavar="NAME", help="take this tag away"
    )


def _ending(parser: ArgumentParser) -> None:
    _device(parser)
    add_yes(parser)
