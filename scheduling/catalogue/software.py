"""Verbs on the software catalogue, which administrators keep and everybody reads.

Input is a mapping of the API's Software: `name`, `version`, `publisher`, `category`, `description`,
`requirements`, `dependency_ids`, `sources`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _

from accounts import database, fields
from accounts.errors import InvalidInput, StateConflict
from accounts.rights import require_administrator
from scheduling import dependencies, live
from scheduling.catalogue import sources, uses
from scheduling.models import Software, SoftwareSource, StoredFile

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = structlog.get_logger(__name__)
MOST_DEPENDENCIES = 50
# Any number, the same for every process: who holds it alone adds dependencies.
_LINKING = 0x6E65656473
_ONE_PER_VERSION = "one_entry_per_software_version"
Input = dict[str, Any]


def create(user: User, data: Mapping[str, Any]) -> Software:
    """Raises NotAllowed, InvalidInput."""
    software = _written(Software(user=user), user, data, partial=False)
    log.info("software_added", software=str(software.pk), user=user.pk)
    return software


def update(software: Software, user: User, data: Mapping[str, Any], *, partial: bool) -> Software:
    """What is left out keeps its value (`partial`) or gets its default. Executions under way keep
    what they opened with. Raises NotAllowed, InvalidInput."""
    software = _written(software, user, data, partial=partial)
    log.info("software_changed", software=str(software.pk), user=user.pk)
    return software


@transaction.atomic
def delete(software: Software, user: User) -> None:
    """Raises NotAllowed, and StateConflict where a task or another entry needs it."""
    require_administrator(user)
    Software.objects.select_for_update().get(pk=software.pk)
    if users := used_by(software, user):
        raise StateConflict(_("In use by %s.") % ", ".join(users), "in_use")
    live.changed("software", [software.pk], known_to=[live.EVERYBODY])
    log.info("software_deleted", software=str(software.pk), user=user.pk)
    software.delete()


def used_by(software: Software, user: User) -> list[str]:
    """What needs an entry, in words for this person, a few of each."""
    dependents = software.dependents.order_by("name")[: uses.MOST_NAMED]
    return uses.tasks_in_words("software_ids", software.pk, user) + [
        _("the software %s") % other for other in dependents
    ]


def as_input(software: Software) -> Input:
    """The entry in the form the verbs take: written back unchanged, it changes nothing."""
    plain = ("name", "version", "publisher", "category", "description", "requirements")
    return {name: getattr(software, name) for name in plain} | {
        "dependency_ids": sorted(str(one.pk) for one in software.dependencies.all()),
        "sources": [sources.as_input(one) for one in software.sources.all()],
    }


def _written(software: Software, user: User, data: Mapping[str, Any], *, partial: bool) -> Software:
    require_administrator(user)
    try:
        with transaction.atomic():
            is_new = software._state.adding
            if not is_new:
                software = Software.objects.select_for_update().get(pk=software.pk)
            before = as_input(software) if partial and not is_new else {}
            values = _checked(software, user, {**_defaults(), **before, **data})
            _store(software, values)
            live.changed("software", [software.pk])
    except IntegrityError as error:
        # The checks said no such entry is there; somebody added it since.
        if not database.is_taken(error, _ONE_PER_VERSION):
            raise
        raise InvalidInput({"version": [_("The catalogue has this version already.")]}) from None
    return software


def _defaults() -> Input:
    return {name: make() for name, make in DEFAULTS.items()}


def _checked(software: Software, user: User, given: Mapping[str, Any]) -> Input:
    errors: fields.Errors = {}
    values = fields.checked(CHECKS, given, errors)
    for name in ("name", "version"):
        if name not in given:
            errors[name] = [_("This field is required.")]
    if not errors and _is_taken(software, values):
        errors["version"] = [_("The catalogue has this version already.")]
    if "dependency_ids" in values:
        _check_dependencies(software, values, errors)
    if "sources" in values:
        _check_files(software, user, values["sources"], errors)
    if errors:
        raise InvalidInput(errors)
    return values


def _is_taken(software: Software, values: Input) -> bool:
    same = {name: values[name] for name in ("name", "version", "publisher")}
    return Software.objects.filter(**same).exclude(pk=software.pk).exists()


def _check_dependencies(software: Software, values: Input, errors: fields.Errors) -> None:
    wanted = values["dependency_ids"]
    found = {str(pk) for pk in Software.objects.filter(pk__in=wanted).values_list("pk", flat=True)}
    if missing := [one for one in wanted if one not in found]:
        errors["dependency_ids"] = [_("Not found: %s.") % ", ".join(missing[:5])]
    elif circle := _circle(software, values):
        errors["dependency_ids"] = [dependencies.circle_in_words(circle)]


def _circle(software: Software, values: Input) -> list[str]:
    """Names along a circle that these dependencies would close, each before what it needs. Two
    people who close one from both ends come one after the other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LINKING])
    edges: dict[str, list[str]] = {}
    links = Software.dependencies.through.objects.values_list("from_software", "to_software")
    for dependent, needed in links:
        edges.setdefault(str(dependent), []).append(str(needed))
    own = str(software.pk)
    trail = dependencies.circle_through(own, {**edges, own: values["dependency_ids"]})
    named = {str(one.pk): str(one) for one in Software.objects.filter(pk__in=trail)}
    named[own] = f"{values.get('name', software.name)} {values.get('version', software.version)}"
    return [named[one] for one in reversed(trail)]


def _check_files(software: Software, user: User, given: list[Input], errors: fields.Errors) -> None:
    """A file has to be the person's to use, unless the entry has it already."""
    wanted = {one["file_id"] for one in given if one["file_id"]}
    usable = StoredFile.objects.visible_to(user).filter(pk__in=wanted)
    kept = SoftwareSource.objects.filter(software=software.pk, file__in=wanted)
    found = {*usable.values_list("pk", flat=True), *kept.values_list("file", flat=True)}
    if missing := sorted(wanted - {str(pk) for pk in found}):
        errors.setdefault("sources", []).append(_("Not found: %s.") % ", ".join(missing[:5]))


def _store(software: Software, values: Input) -> None:
    for name in ("name", "version", "publisher", "category", "description", "requirements"):
        setattr(software, name, values[name])
    software.save()
    software.dependencies.set(values["dependency_ids"])
    software.sources.all().delete()
    SoftwareSource.objects.bulk_create(
        SoftwareSource(software=software, position=position, **one)
        for position, one in enumerate(values["sources"])
    )


def _requirements(value: object) -> dict[str, int]:
    """`free_disk_mb` and `memory_mb`, each left out where nothing is needed."""
    if not isinstance(value, dict):
        raise ValueError(_("must be an object."))
    if unknown := sorted(str(name) for name in value if name not in REQUIREMENTS):
        known = ", ".join(REQUIREMENTS)
        raise ValueError(
            _("%(name)s is not known; it takes %(known)s.") % {"name": unknown[0], "known": known}
        )
    return {
        name: number for name, one in value.items() if (number := _amount(name, one)) is not None
    }


def _amount(name: str, value: object) -> int | None:
    try:
        number: int | None = fields.whole_number(1, 10_000_000, optional=True)(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    return number


REQUIREMENTS = ("free_disk_mb", "memory_mb")
CHECKS: dict[str, fields.Check] = {
    "name": fields.text(200, shortest=1, one_line=True),
    "version": fields.text(100, shortest=1, one_line=True),
    "publisher": fields.text(200, one_line=True),
    "category": fields.text(100, one_line=True),
    "description": fields.text(10_000),
    "requirements": _requirements,
    "dependency_ids": fields.identifiers(MOST_DEPENDENCIES),
    "sources": sources.check,
}
DEFAULTS: dict[str, Callable[[], Any]] = {
    "publisher": str,
    "category": str,
    "description": str,
    "requirements": dict,
    "dependency_ids": list,
    "sources": list,
}
