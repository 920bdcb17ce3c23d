"""What was made of a kind of work that this server has no longer: it is there to be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from devices.agent import kinds

if TYPE_CHECKING:
    from devices.agent.kinds import Kind


def find(task_type: str) -> Kind | None:
    """None where it is lost."""
    try:
        return kinds.get(task_type)
    except kinds.UnknownKind:
        return None


def is_lost(task_type: str) -> bool:
    return find(task_type) is None


def reason(task_type: str) -> str:
    """Why nothing is run."""
    return _("This server has no type of task %r.") % task_type


def sentence(task_type: str) -> str:
    """The same, with what can still be done."""
    said = _(
        "This server has no type of task %r: what uses it can be looked at, paused and deleted, "
        "but neither changed nor run."
    )
    return said % task_type


def choose_anew(task_type: str) -> str:
    """The same, for what begins as a copy."""
    return _("This server has no type of task %r: choose what to run instead.") % task_type
