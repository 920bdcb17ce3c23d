"""What a run's `detail` says, read with care: it is a device's word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from scheduling import terminal

MOST_STEPS = 200
# The words agents use; one of a newer agent shows as it is.
STATES = {
    "new": (_("New"), "good"),
    "replaced": (_("Replaced"), "good"),
    "would be new": (_("Would be new"), "wait"),
    "would be replaced": (_("Would be replaced"), "wait"),
    "already in place": (_("Already in place"), "still"),
    "mode or owner changed": (_("Mode or owner changed"), "good"),
    "put back": (_("Put back"), "good"),
    "removed, as it was not there before": (_("Removed, as it was not there before"), "good"),
    "installed": (_("Installed"), "good"),
    "upgraded": (_("Upgraded"), "good"),
    "downgraded": (_("Downgraded"), "mild"),
    "uninstalled": (_("Uninstalled"), "good"),
    "unchanged": (_("Unchanged"), "still"),
    "already installed": (_("Already installed"), "still"),
    "already up to date": (_("Already up to date"), "still"),
    "not installed": (_("Not installed"), "still"),
    "failed": (_("Failed"), "bad"),
    "stopped": (_("Stopped"), "bad"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """`what` is a path, a software or the number of a command."""

    what: str
    state: str
    tone: str
    why: str
    exit_code: int | None
    seconds: float | None
    wants_restart: bool


@dataclass(frozen=True, slots=True)
class Said:
    """`changed` None where the kind of work does not tell."""

    summary: str
    changed: bool | None
    wants_restart: bool
    kept: int
    steps: list[Step]

    @property
    def anything(self) -> bool:
        told = len(self.steps) > 1 or any(one.state for one in self.steps)
        return told or self.wants_restart or self.changed is not None


def read(detail: Mapping[str, Any]) -> Said:
    listed = detail.get("steps")
    steps = listed[:MOST_STEPS] if isinstance(listed, list) else []
    changed, kept = detail.get("changed"), detail.get("kept")
    return Said(
        summary=_text(detail.get("summary")),
        changed=changed if isinstance(changed, bool) else None,
        wants_restart=detail.get("reboot_required") is True,
        kept=len(kept) if isinstance(kept, list) else 0,
        steps=[_step(one) for one in steps if isinstance(one, Mapping)],
    )


def _step(given: Mapping[str, Any]) -> Step:
    word = _text(given.get("state"))
    label, tone = STATES.get(word, (word, "still"))
    code, seconds = given.get("exit_code"), given.get("seconds")
    return Step(
        what=_text(given.get("path") or given.get("software") or given.get("step")),
        state=str(label),
        tone=tone,
        why=_text(given.get("why") or given.get("error")),
        exit_code=code if type(code) is int else None,
        seconds=float(seconds) if isinstance(seconds, (int, float)) else None,
        wants_restart=given.get("reboot_required") is True,
    )


def _text(value: object) -> str:
    return "" if value is None else terminal.plain(str(value))[:1_000]
