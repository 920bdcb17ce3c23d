"""Choosing files, software and tasks: what is chosen, and the first of what a search found.

Works by re-rendering, as the pickers of devices and groups do: what is ticked travels in the form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from accounts.pages import identifier
from scheduling.models import ScheduledTask, Software, StoredFile, TaskDependency

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from scheduling.forms.payload import Typed

MOST_CHOSEN = 100
FOUND_AT_ONCE = 12


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing; `href` is empty where it is gone, or not this person's. `option` is what was
    chosen beside it."""

    pk: str
    name: str
    note: str
    href: str
    option: str = ""


@dataclass(frozen=True, slots=True)
class Picker:
    """`name` is the form's field; `what` is files, software or tasks; `more` were found but do not
    show. One of the `options` is chosen beside each thing, under `name-<id>`."""

    name: str
    what: str
    is_single: bool
    search: str
    chosen: list[Choice]
    found: list[Choice]
    more: int
    options: Sequence[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Where one sort of thing comes from, how it is searched and worded, and what is chosen beside
    each. What is not `offered` shows once it was searched for."""

    visible: Callable[[User], Any]
    searched: Callable[[str], Q]
    note: Callable[[Any], str]
    order: tuple[str, ...]
    options: Sequence[tuple[str, Any]] = ()
    is_offered: bool = True


def picker(what: str, name: str, data: Typed, user: User, *, is_single: bool = False) -> Picker:
    """Bound to what was typed under `name`, and searched for under `name_search`."""
    shelf = SHELVES[what]
    ids = list(dict.fromkeys(text.strip() for text in data.getlist(name) if text.strip()))
    search = data.get(f"{name}_search", "").strip()
    found, more = _found(shelf, search, ids, user) if search or shelf.is_offered else ([], 0)
    chosen = choices(what, ids[:MOST_CHOSEN], user)
    return Picker(
        name=name,
        what=what,
        is_single=is_single,
        search=search,
        chosen=[replace(one, option=data.get(f"{name}-{one.pk}", "")) for one in chosen],
        found=found,
        more=more,
        options=shelf.options,
    )


def choices(what: str, ids: Sequence[str], user: User) -> list[Choice]:
    """What ids stand for, in their order; one that stands for nothing shows as itself."""
    shelf = SHELVES[what]
    wanted = [one for one in ids if identifier(one)]
    known = {str(one.pk): one for one in shelf.visible(user).filter(pk__in=wanted)}
    return [_choice(shelf, known[one]) if one in known else unknown(one) for one in ids]


def unknown(one: str) -> Choice:
    """An id that stands for nothing here."""
    return Choice(one, one, _("gone, or not yours"), "")


def _found(
    shelf: _Shelf, search: str, chosen: Sequence[str], user: User
) -> tuple[list[Choice], int]:
    """The first of what is not chosen yet, and how many more there are."""
    found = shelf.visible(user).exclude(pk__in=[one for one in chosen if identifier(one)])
    if search:
        found = found.filter(shelf.searched(search))
    shown = list(found.order_by(*shelf.order)[:FOUND_AT_ONCE])
    more = found.count() - len(shown) if len(shown) == FOUND_AT_ONCE else 0
    return [_choice(shelf, one) for one in shown], more


def _choice(shelf: _Shelf, one: Any) -> Choice:
    return Choice(str(one.pk), str(one), shelf.note(one), one.get_absolute_url())


def _files(user: User) -> Any:
    return StoredFile.objects.visible_to(user).select_related("blob")


def _software(user: User) -> Any:
    return Software.objects.visible_to(user)


def _tasks(user: User) -> Any:
    return ScheduledTask.objects.visible_to(user)


SHELVES = {
    "files": _Shelf(
        visible=_files,
        searched=lambda text: Q(name__icontains=text),
        note=lambda file: filesizeformat(file.blob.size),
        order=("-pk",),
    ),
    "software": _Shelf(
        visible=_software,
        searched=lambda text: Q(name__icontains=text) | Q(publisher__icontains=text),
        note=lambda entry: entry.publisher,
        order=("name", "-pk"),
    ),
    "tasks": _Shelf(
        visible=_tasks,
        searched=lambda text: Q(name__icontains=text, ad_hoc=False),
        note=lambda task: task.schedule_text,
        order=("name", "-pk"),
        options=TaskDependency.On.choices,
        is_offered=False,
    ),
}
