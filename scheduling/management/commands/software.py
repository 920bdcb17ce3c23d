from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser
from django.db.models import Q
from django.utils.translation import gettext as _

from scheduling.catalogue import software
from scheduling.cli import documents, finding, rows, values
from scheduling.cli.door import REFUSED, VerbCommand, add_search, add_verbs, add_yes, limited
from scheduling.models import Software

if TYPE_CHECKING:
    from django.contrib.auth.models import User

_SAME = ("name", "version", "publisher", "category", "description")
_CODES = ("success_exit_codes", "reboot_exit_codes")


class Command(VerbCommand):
    help = "Keeps the catalogue of software that tasks install on devices."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = {
            "list": ("the catalogue", _list),
            "show": ("one entry, with its sources", _entry),
            "add": ("add an entry, from options or from a file", _add),
            "edit": ("change an entry; what is not given stays", _edit),
            "delete": ("delete an entry that nothing needs", _delete),
        }
        add_verbs(parser, verbs)

    def do_list(self, user: User, options: Mapping[str, Any]) -> None:
        found = Software.objects.visible_to(user).prefetch_related("sources", "dependencies")
        if text := options["search"]:
            found = found.filter(Q(name__icontains=text) | Q(publisher__icontains=text))
        if options["category"]:
            found = found.filter(category__iexact=options["category"])
        listed = limited(found, options)
        if not listed and not options["as_json"]:
            self._out.print(_("The catalogue has nothing of the kind."))
            return
        self._show(rows.software_json(listed), options, lambda: rows.software(listed))

    def do_show(self, user: User, options: Mapping[str, Any]) -> None:
        self._show_entry(finding.software(user, options["software"]), user, options)

    def do_add(self, user: User, options: Mapping[str, Any]) -> None:
        self._show_entry(software.create(user, _given(options, user)), user, options)

    def do_edit(self, user: User, options: Mapping[str, Any]) -> None:
        entry = finding.software(user, options["software"])
        given = _given(options, user)
        self._show_entry(software.update(entry, user, given, partial=True), user, options)

    def do_delete(self, user: User, options: Mapping[str, Any]) -> int | None:
        entry = finding.software(user, options["software"])
        question = _("This deletes “%s” from the catalogue; on devices it stays installed.")
        if not self._agrees(question % entry, options):
            return REFUSED
        row = {"id": str(entry.pk), "name": str(entry)}
        software.delete(entry, user)
        self._said(row, options, _("“%s” is deleted.") % row["name"])
        return None

    def _show_entry(self, entry: Software, user: User, options: Mapping[str, Any]) -> None:
        (shown,) = rows.software_json([entry])
        self._show(shown, options, lambda: rows.entry(entry, software.used_by(entry, user)))


def _given(options: Mapping[str, Any], user: User) -> dict[str, Any]:
    """The fields of the file, and over them those of the options. Raises InvalidInput."""
    given = documents.read(options["from_file"]) if options["from_file"] else {}
    given.pop("id", None)
    given |= {name: options[name] for name in _SAME if options[name] is not None}
    needs = {name: options[name] for name in software.REQUIREMENTS if options[name] is not None}
    if needs:
        given["requirements"] = {**given.get("requirements", {}), **needs}
    if options["depends_on"] is not None:
        found = [
            finding.software(user, one, name="dependency_ids") for one in options["depends_on"]
        ]
        given["dependency_ids"] = [str(one.pk) for one in found]
    if options["sources"] is not None:
        given["sources"] = [_with_file(one, user) for one in options["sources"]]
    return given


def _with_file(source: dict[str, Any], user: User) -> dict[str, Any]:
    """`file` names a stored file by its id or name."""
    if "file" not in source:
        return source
    rest = {name: value for name, value in source.items() if name != "file"}
    return {**rest, "file_id": str(finding.file(user, source["file"]).pk)}


def source(text: str) -> dict[str, Any]:
    """`os=linux,format=apt,package_name=curl`, or a source as JSON, for what has commas in it."""
    if text.lstrip().startswith("{"):
        try:
            given = json.loads(text)
        except ValueError as error:
            raise ArgumentTypeError(_("not JSON: %s") % error) from None
        return dict(given)
    pairs: dict[str, Any] = dict(values.variable(one.strip()) for one in text.split(","))
    for name in _CODES:
        if name in pairs:
            codes = pairs[name].split("/")
            pairs[name] = [int(code) if code.lstrip("-").isdecimal() else code for code in codes]
    return pairs


def _list(parser: ArgumentParser) -> None:
    add_search(parser)
    parser.add_argument("--category")


def _entry(parser: ArgumentParser) -> None:
    parser.add_argument("software", metavar="SOFTWARE", help="its id, its name, or “name version”")


def _add(parser: ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="unless --from-file says it")
    _fields(parser)


def _edit(parser: ArgumentParser) -> None:
    _entry(parser)
    parser.add_argument("--name")
    _fields(parser)


def _delete(parser: ArgumentParser) -> None:
    _entry(parser)
    add_yes(parser)


def _fields(parser: ArgumentParser) -> None:
    parser.add_argument("--version")
    parser.add_argument("--publisher")
    parser.add_argument("--category")
    parser.add_argument("--description")
    parser.add_argument("--free-disk-mb", type=int, metavar="NUMBER")
    parser.add_argument("--memory-mb", type=int, metavar="NUMBER")
    parser.add_argument(
        "--depends-on", action="append", metavar="SOFTWARE", help="installed before it; again: more"
    )
    parser.add_argument(
        "--source",
        action="append",
        dest="sources",
        type=source,
        metavar="SOURCE",
        help="os=linux,format=apt,package_name=curl or os=…,format=deb,file=NAME or JSON; again: more",
    )
    parser.add_argument(
        "--from-file",
        metavar="FILE",
        help="YAML or JSON, named as in the API; - reads standard input",
    )
