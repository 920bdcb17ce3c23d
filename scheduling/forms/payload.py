"""What a task does, as form fields: each kind says what it asks for, none is known by name here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from accounts import line_ends
from devices.agent import kinds
from devices.agent.kinds import FormField, Kind, PayloadError
from scheduling.catalogue import uses
from scheduling.forms import picking, values

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.utils.datastructures import MultiValueDict

    Typed = MultiValueDict[str, str]

SPARE_PAIRS = 2
MOST_SUMMARY = 200


@dataclass(slots=True)
class Input:
    """One field of a kind with what was typed into it; `texts` holds one, or each of several.
    `stored` is what it was filled in with, where a task was there before."""

    spec: FormField
    name: str
    texts: list[str]
    pairs: list[tuple[str, str]]
    stored: Any = None
    errors: list[str] = field(default_factory=list)
    picker: picking.Picker | None = None

    @property
    def text(self) -> str:
        return self.texts[0] if self.texts else ""

    @property
    def has_lines(self) -> bool:
        """Whether an input of one line would lose something of it."""
        return "\n" in self.text or "\r" in self.text

    @property
    def label(self) -> str:
        return _(self.spec.label)

    @property
    def help(self) -> str:
        return _(self.spec.help) if self.spec.help else ""


class PayloadForm:
    """The fields of one kind, bound to what was typed. `stored` is the payload that they were
    filled in with."""

    def __init__(self, kind: Kind, data: Typed, stored: Mapping[str, Any] | None = None) -> None:
        self.kind = kind
        self._data = data
        self._stored = stored
        self.errors: list[str] = []
        shown = kind.form_values(dict(stored)) if stored else {}
        self.inputs = [_input(kind, one, data, shown) for one in kind.form_fields()]
        self.needing = uses.Uses()

    @property
    def has_errors(self) -> bool:
        return bool(self.errors) or any(one.errors for one in self.inputs)

    @property
    def opens_details(self) -> bool:
        """Whether something is wrong in a field that is folded away."""
        return any(one.errors for one in self.inputs if not one.spec.required)

    def look_up(self, user: User) -> None:
        """Gives the fields that choose out of the catalogue what this person may choose from."""
        for one in self.inputs:
            if one.spec.widget in picking.SHELVES:
                one.picker = picking.picker(one.spec.widget, one.name, self._data, user)
        self.needing = self.left_without(user)

    @property
    def chooses_software(self) -> bool:
        return any(one.spec.widget == "software" for one in self.inputs)

    def left_without(self, user: User) -> uses.Uses:
        """The software that needs what this takes off the devices, as far as it is filled in."""
        try:
            removed = self.kind.references(self.kind.parse(self.payload())).removed
        except PayloadError:
            removed = ()
        return uses.left_without(removed, user)

    def payload(self) -> dict[str, Any]:
        """Empty is as good as not given, except where the field has to be filled in. What shows as
        it did is the stored one, however that was written."""
        found = [(one.spec, _value(one)) for one in self.inputs]
        empty: tuple[Any, ...] = (None, "", {}, [])
        given = {one.name: value for one, value in found if one.required or value not in empty}
        return dict(self._stored) if self._stored and self._shows_as_before(given) else given

    def summary(self) -> str:
        """What it does, in a line; the kind's label where that is not understood."""
        try:
            said = self.kind.summary(self.kind.parse(self.payload()))
        except PayloadError:
            return _(self.kind.label)
        return "".join(one for one in said if one.isprintable())[:MOST_SUMMARY]

    def refuse(self, messages: list[str]) -> None:
        """Puts messages such as "shell: Must be …" beside their fields, the others above them."""
        by_name = {one.spec.name: one for one in self.inputs}
        for message in messages:
            name, _colon, said = message.partition(": ")
            if said and name in by_name:
                by_name[name].errors.append(said)
            else:
                self.errors.append(message)

    def _shows_as_before(self, given: dict[str, Any]) -> bool:
        try:
            shown = self.kind.form_values(self.kind.parse(given))
        except PayloadError:
            return False
        return all(shown.get(one.spec.name) == one.stored for one in self.inputs)


def names() -> set[str]:
    """What the fields of all kinds are called in a form."""
    return {name for kind in kinds.every() for name in typed(kind, None)}


def typed(kind: Kind, payload: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """The kind's fields as one would type them for this payload, or as they are at first."""
    given = {one.name: one.initial for one in kind.form_fields()}
    if payload is not None:
        given = dict.fromkeys(given) | kind.form_values(dict(payload))
    fields: dict[str, list[str]] = {}
    for one in kind.form_fields():
        fields |= _typed(f"{kind.name}-{one.name}", one, given[one.name])
    return fields


def _typed(name: str, one: FormField, value: Any) -> dict[str, list[str]]:
    if one.widget == "pairs":
        pairs = dict(value or {})
        return {f"{name}-name": list(pairs), f"{name}-value": list(pairs.values())}
    if one.widget == "checkbox":
        return {name: ["on"]} if value else {}
    if one.widget in ("lines", "files", "software"):
        return {name: [str(line) for line in value or []]}
    if one.widget == "numbers":
        return {name: [", ".join(str(number) for number in value or [])]}
    return {name: ["" if value is None else str(value)]}


def _input(kind: Kind, one: FormField, data: Typed, shown: Mapping[str, Any]) -> Input:
    name = f"{kind.name}-{one.name}"
    names, texts = data.getlist(f"{name}-name"), data.getlist(f"{name}-value")
    pairs = [pair for pair in zip(names, texts, strict=False) if any(pair)]
    spare = [("", "")] * SPARE_PAIRS if one.widget == "pairs" else []
    stored = shown.get(one.name)
    return Input(one, name, data.getlist(name) or [""], pairs + spare, stored)


def _value(one: Input) -> Any:
    match one.spec.widget:
        case "checkbox":
            return one.text == "on"
        case "files" | "software":
            return [line.strip() for line in one.texts if line.strip()]
        case "lines":
            before = zip_longest(one.texts, one.stored or [], fillvalue="")
            return [line_ends.meant(line, text) for line, text in before if line.strip()]
        case "numbers":
            return values.numbers(one.text)
        case "pairs":
            stored = one.stored or {}
            return {
                name: line_ends.meant(text, stored.get(name, ""))
                for name, text in ((name.strip(), text) for name, text in one.pairs)
                if name or text
            }
        case _:
            text = line_ends.meant(one.text, one.stored or "")
            return text if text == one.stored else text.strip()
