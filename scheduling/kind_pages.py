"""The page on which each kind of work is chosen and sent out; a new kind has one by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from devices.agent import kinds

if TYPE_CHECKING:
    from devices.agent.kinds import Kind

# The name of its address, and its title.
OWN = {
    "command": ("commands", _("Run a command")),
    "software_deployment": ("software-list", _("Deploy software")),
    "file_deployment": ("file-list", _("Deploy files")),
}


def address(kind: Kind) -> str:
    if kind.name in OWN:
        return reverse(OWN[kind.name][0])
    return reverse("deploy", args=[kind.name])


def title(kind: Kind) -> str:
    return str(OWN[kind.name][1]) if kind.name in OWN else gettext(kind.label)


def without_own() -> list[Kind]:
    """The kinds whose page has no place of its own among the others."""
    return [kind for kind in kinds.every() if kind.name not in OWN]
