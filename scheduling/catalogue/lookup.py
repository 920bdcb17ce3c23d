"""What a payload's ids stand for: asked when a task is saved, and again when an execution opens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from devices.agent import kinds
from devices.agent.kinds import FileFacts, JsonObject, Unresolved
from scheduling.models import Software, SoftwareSource, StoredFile

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.db.models import QuerySet

_COMMANDS = ("install_command", "upgrade_command", "uninstall_command", "detect_command")


class Lookup:
    """`kinds.Catalogue` over the database."""

    def files(self, ids: Sequence[str]) -> list[FileFacts]:
        """Raises Unresolved."""
        rows = StoredFile.objects.select_related("blob").in_bulk(ids)
        found = {str(pk): _facts(file) for pk, file in rows.items()}
        if missing := [one for one in ids if one not in found]:
            raise Unresolved(_("A file of the task is gone: %s.") % ", ".join(missing[:5]))
        return [found[one] for one in ids]

    def software(self, ids: Sequence[str]) -> list[JsonObject]:
        """Raises Unresolved."""
        known = with_dependencies(ids)
        if missing := [one for one in ids if one not in known]:
            raise Unresolved(_("Software of the task is gone: %s.") % ", ".join(missing[:5]))
        return [_entry(known[one]) for one in in_order(ids, known)]


def order_of(task_type: str, payload: JsonObject) -> JsonObject:
    """What a device is to be told for a parsed payload. Raises Unresolved."""
    return kinds.get(task_type).resolve(payload, Lookup())


def named(task_type: str, payload: JsonObject) -> set[str]:
    """Every id in the catalogue that a parsed payload names."""
    references = kinds.get(task_type).references(payload)
    return {*references.files, *references.software}


def missing_for(user: User, task_type: str, payload: JsonObject) -> dict[str, list[str]]:
    """The ids of a parsed payload that are not there, or not this person's to use, by what
    a payload calls them: `file_ids`, `software_ids`."""
    references = kinds.get(task_type).references(payload)
    asked: dict[str, tuple[Sequence[str], QuerySet[Any]]] = {
        "file_ids": (references.files, StoredFile.objects.visible_to(user)),
        "software_ids": (references.software, Software.objects.visible_to(user)),
    }
    missing: dict[str, list[str]] = {}
    for what, (ids, usable) in asked.items():
        if ids:
            found = {str(pk) for pk in usable.filter(pk__in=ids).values_list("pk", flat=True)}
            if absent := [one for one in ids if one not in found]:
                missing[what] = absent
    return missing


def in_order(ids: Iterable[str], known: dict[str, Software]) -> list[str]:
    """These and what they depend on, each after its dependencies and otherwise in the given order.
    A circle, which the verbs do not let in, is cut where it closes."""
    ordered: dict[str, None] = {}
    entered: set[str] = set()

    def visit(one: str) -> None:
        if one in entered or one not in known:
            return
        entered.add(one)
        for dependency in sorted(str(other.pk) for other in known[one].dependencies.all()):
            visit(dependency)
        ordered[one] = None

    for one in ids:
        visit(one)
    return list(ordered)


def with_dependencies(ids: Sequence[str]) -> dict[str, Software]:
    """These and all they depend on, by id; one round of queries for each level of dependency."""
    known: dict[str, Software] = {}
    wanted = set(ids)
    while wanted:
        rows = Software.objects.prefetch_related("dependencies", "sources__file__blob")
        level = rows.filter(pk__in=wanted)
        known |= {str(one.pk): one for one in level}
        wanted = {str(d.pk) for one in level for d in one.dependencies.all()} - known.keys()
    return known


def _facts(file: StoredFile) -> FileFacts:
    return FileFacts(file.name, file.blob.sha256, file.blob.size)


def _entry(software: Software) -> JsonObject:
    return {
        "id": str(software.pk),
        "name": software.name,
        "version": software.version,
        "publisher": software.publisher,
        "requirements": software.requirements,
        "sources": [_source(one) for one in software.sources.all()],
    }


def _source(source: SoftwareSource) -> JsonObject:
    given: JsonObject = {
        "os": source.os,
        "architecture": source.architecture,
        "format": source.format,
    }
    if source.file is not None:
        given["file"] = _facts(source.file).to_json()
    elif source.url:
        name = source.url.partition("?")[0].rpartition("/")[2][:255]
        is_plain = name not in ("", ".", "..")  # a device takes no other
        facts = FileFacts(name if is_plain else source.format, source.sha256, None)
        given["file"] = facts.to_json()
    if source.package_name:
        given["package_name"] = source.package_name
    given |= {name: getattr(source, name) for name in _COMMANDS if getattr(source, name)}
    for name in ("success_exit_codes", "reboot_exit_codes"):
        if getattr(source, name):
            given[name] = list(getattr(source, name))
    return given
