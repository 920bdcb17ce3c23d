"""What administrators are to know of besides what is not well: recovery mode, and alarms."""

from __future__ import annotations

from typing import NamedTuple

from django.db import DatabaseError, InterfaceError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from scheduling import alarms, recovery


class Notice(NamedTuple):
    """`name` is recovery or alarms."""

    name: str
    sentence: str


def current() -> list[Notice]:
    """Asked of the database now; nothing where it does not answer, which `health` says."""
    try:
        found = [Notice("recovery", _recovery()), Notice("alarms", _alarms())]
    except (DatabaseError, InterfaceError):
        return []
    return [notice for notice in found if notice.sentence]


def _recovery() -> str:
    said = recovery.status().sentence()
    hint = _("manage.py recovery off waits for them no longer, and gives up their unfinished runs.")
    return f"{said} {hint}" if said else ""


def _alarms() -> str:
    number = alarms.recent().count()
    if not number:
        return ""
    text = ngettext(
        "%s run on a device contradicts what this server knows of it: look at the machine.",
        "%s runs on devices contradict what this server knows of them: look at the machines.",
        number,
    )
    return text % number
