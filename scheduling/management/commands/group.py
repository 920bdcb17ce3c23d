from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from devices import groups
from devices.api.serializers import QueryPreviewSerializer
from devices.models import DeviceGroup
from scheduling.cli import finding, rows
from scheduling.cli.door import REFUSED, VerbCommand, add_search, add_verbs, add_yes, limited
from scheduling.models import ScheduledTask

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class Command(VerbCommand):
    help = "Keeps groups of devices, put together by hand or found by a query."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = {
            "list": ("the groups", add_search),
            "show": ("one group", _group),
            "add": ("make a group", _add),
            "edit": ("change a group; what is not given stays", _edit),
            "delete": ("delete a group; its devices stay", _delete),
            "preview": ("the devices that a query finds now", _preview),
        }
        add_verbs(parser, verbs)

    def do_list(self, user: User, options: Mapping[str, Any]) -> None:
        found = DeviceGroup.objects.visible_to(user)
        if options["search"]:
            found = found.filter(name__icontains=options["search"])
        listed = limited(rows.counted(found), options)
        if not listed and not options["as_json"]:
            self._out.print(_("No groups."))
            return
        self._show(rows.groups_json(listed), options, lambda: rows.groups(listed))

    def do_show(self, user: User, options: Mapping[str, Any]) -> None:
        self._show_group(finding.group(user, options["group"]), options)

    def do_add(self, user: User, options: Mapping[str, Any]) -> None:
        self._show_group(groups.create(user, _given(options, user)), options)

    def do_edit(self, user: User, options: Mapping[str, Any]) -> None:
        group = finding.group(user, options["group"])
        given = _given(options, user)
        self._show_group(groups.update(group, user, given, partial=True), options)

    def do_delete(self, user: User, options: Mapping[str, Any]) -> int | None:
        group = finding.group(user, options["group"])
        tasks = ScheduledTask.objects.listed().filter(group_ids__contains=[str(group.pk)])
        question = _(
            "This deletes the group “%(name)s”: %(tasks)s tasks lose it as a target, and %(people)s"
            " people the right to its devices that it gave them."
        )
        people = group.people.filter(is_superuser=False).count()
        words = {"name": group.name, "tasks": tasks.count(), "people": people}
        if not self._agrees(question % words, options):
            return REFUSED
        row = {"id": str(group.pk), "name": group.name}
        groups.delete(group, user)
        self._said(row, options, _("“%s” is deleted.") % row["name"])
        return None

    def do_preview(self, user: User, options: Mapping[str, Any]) -> None:
        found = groups.preview(user, {"query": options["query"]})
        self._show(
            QueryPreviewSerializer(found).data,
            options,
            lambda: rows.facts(
                [
                    (_("Devices"), found.device_count),
                    *((_("such as"), one.name) for one in found.devices),
                ]
            ),
        )

    def _show_group(self, group: DeviceGroup, options: Mapping[str, Any]) -> None:
        row = rows.counted(DeviceGroup.objects.filter(pk=group.pk)).get()
        (shown,) = rows.groups_json([row])
        self._show(shown, options, lambda: rows.group(row))


def _given(options: Mapping[str, Any], user: User) -> dict[str, Any]:
    """The fields that were given; a query makes the group one by query, `--device` one by hand."""
    given: dict[str, Any] = {
        name: options[name] for name in ("name", "description") if options[name] is not None
    }
    if options["query"] is not None:
        is_query = bool(options["query"])
        given |= {"query": options["query"] or None, "kind": "dynamic" if is_query else "static"}
        if is_query:
            given["device_ids"] = []
    if options["devices"] is not None:
        found = finding.devices(user, options["devices"])
        given["device_ids"] = [str(one.pk) for one in found]
    if options["people"] is not None:
        given["people"] = [one.pk for one in finding.people(options["people"])]
    return given


def _group(parser: ArgumentParser) -> None:
    parser.add_argument("group", metavar="GROUP", help="its id or its exact name")


def _add(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    _fields(parser)


def _edit(parser: ArgumentParser) -> None:
    _group(parser)
    parser.add_argument("--name")
    _fields(parser)


def _fields(parser: ArgumentParser) -> None:
    parser.add_argument("--description")
    parser.add_argument(
        "--query", help="every device it finds, such as 'os = linux'; empty: none any more"
    )
    parser.add_argument(
        "--device", action="append", dest="devices", metavar="NAME", help="or id; again: more"
    )
    parser.add_argument(
        "--person",
        action="append",
        dest="people",
        metavar="NAME",
        help="who may use it; again: more",
    )


def _delete(parser: ArgumentParser) -> None:
    _group(parser)
    add_yes(parser)


def _preview(parser: ArgumentParser) -> None:
    parser.add_argument("query", metavar="QUERY")
