from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.columns import aligned
from accounts.pages import identifier
from devices import agent_updates
from devices.models import AgentUpdate, Device, DeviceGroup
from devices.models.device import DeviceQuerySet


class Command(BaseCommand):
    requires_system_checks = ()  # they load every page
    help = "Brings the devices' agents to the version this server serves."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        actions.add_parser("status", help="how many run which version, and how updates stand")
        actions.add_parser("stop", help="take back every update that was not offered yet")
        update = actions.add_parser("update", help="update these, at the pace the settings give")
        which = update.add_mutually_exclusive_group(required=True)
        which.add_argument("--device", action="append", metavar="ID|NAME")
        which.add_argument("--group", action="append", metavar="NAME")
        which.add_argument("--all", action="store_true", help="every device that is not revoked")
        update.add_argument(
            "--percent", type=int, default=100, metavar="N", help="only this share of them"
        )

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        getattr(self, f"_{action}")(options)

    def _update(self, options: dict[str, Any]) -> None:
        if not 1 <= options["percent"] <= 100:
            raise CommandError(_("--percent must be 1 to 100."))
        wanted = agent_updates.outdated(_chosen(options))
        ids = list(wanted.order_by("pk").values_list("pk", flat=True))
        share = ids[: -(-len(ids) * options["percent"] // 100)]
        asked = agent_updates.ask(Device.objects.filter(pk__in=share), None)
        self.stdout.write(_("Updates asked for: %s.") % asked)
        if why := agent_updates.why_stopped():
            self.stderr.write(_("None is offered at present: %s") % why)

    def _stop(self, options: dict[str, Any]) -> None:
        self.stdout.write(_("Updates taken back: %s.") % agent_updates.stop())

    def _status(self, options: dict[str, Any]) -> None:
        stands = agent_updates.standing()
        self.stdout.write(_("This server serves %s.") % stands.version)
        rows = [("AGENT", "DEVICES")]
        rows += [(name or "–", str(number)) for name, number in sorted(stands.versions.items())]
        self.stdout.write(aligned(rows))
        rows = [("UPDATES", "DEVICES")]
        rows += [(status, str(stands.updates.get(status, 0))) for status in AgentUpdate.Status]
        self.stdout.write(aligned(rows))
        if stands.why_stopped:
            self.stdout.write(_("None is offered at present: %s") % stands.why_stopped)
        for one in AgentUpdate.objects.filter(status="failed").select_related("device")[:20]:
            self.stdout.write(f"{one.device.name}: {one.message}")


def _chosen(options: dict[str, Any]) -> DeviceQuerySet:
    devices = Device.objects.all()
    if options["group"]:
        groups = [_group(name) for name in options["group"]]
        return devices.filter(pk__in=Device.objects.filter(groups__in=groups).values("pk"))
    if options["device"]:
        return devices.filter(pk__in=[_device(text).pk for text in options["device"]])
    return devices


def _group(name: str) -> DeviceGroup:
    group = DeviceGroup.objects.filter(name=name).first()
    if group is None:
        raise CommandError(_("There is no group “%s”.") % name)
    return group


def _device(text: str) -> Device:
    found = list(Device.objects.filter(Q(name=text) | Q(pk=identifier(text) or None))[:2])
    if len(found) != 1:
        said = _("There is no device “%s”.") if not found else _("Several are called “%s”.")
        raise CommandError(said % text)
    return found[0]
