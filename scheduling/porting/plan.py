"""What importing a document would do, task by task; nothing is written here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from scheduling.models import ScheduledTask
from scheduling.porting import checking, comparing, entries
from scheduling.porting.entries import Entry
from scheduling.porting.linking import Links, Target
from scheduling.porting.matching import Owners, Tasks
from scheduling.porting.steps import Plan

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def of(document: object, user: User, *, now: datetime, prune: bool = False) -> Plan:
    """What importing this document as this person would do. `prune` deletes the tasks of the
    document's owners that are not in it.

    Raises InvalidInput naming every wrong entry and field.
    """
    found = entries.parse(document)
    owners = Owners(found, user)
    owner_of = {one.number: owners.of(one) for one in found}
    tasks = Tasks(found, owner_of, user)
    targets = [_target(one, tasks, owner_of[one.number]) for one in found]
    doomed = _missing(targets, tasks, user) if prune else []
    links = Links(targets, tasks, {str(task.pk) for task in doomed})
    linked = links.of_all()
    checked = checking.check(targets, user, now)
    entries.refuse_wrong(found)
    steps = comparing.steps(targets, checked, linked, links.names, tasks, user, now)
    return Plan((*steps, *comparing.deletions(doomed, targets, user)), document, prune)


def _target(entry: Entry, tasks: Tasks, owner: User) -> Target:
    task = tasks.of(entry)
    if task is not None and entry.owner is None:
        owner = task.user
    changes_hands = task is None or task.user_id != owner.pk
    if changes_hands and not owner.is_active:
        message = _("The account “%s” is deactivated.")
        entry.add_error("owner", message % owner.get_username())
    return Target(entry, task, owner)


def _missing(targets: Sequence[Target], tasks: Tasks, user: User) -> list[ScheduledTask]:
    """The tasks of the document's owners that it does not have."""
    owners = {one.owner.pk for one in targets} or {user.pk}
    meant = {one.task.pk for one in targets if one.task}
    return list(tasks.visible.filter(user__in=owners).exclude(pk__in=meant).order_by("pk"))
