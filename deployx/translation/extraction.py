"""Reads what is marked for translation out of our source: `_("…")` in Python, `{% translate %}`,
`{% blocktranslate %}` and `_("…")` in templates, and what the kinds of work say of themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from django.utils.translation.template import templatize

from devices.agent import kinds
from devices.agent.software_formats import FORMATS

# Which arguments of a marking function are text: context, singular, plural.
MARKS = {
    "_": (None, 0, None),
    "gettext": (None, 0, None),
    "gettext_lazy": (None, 0, None),
    "gettext_noop": (None, 0, None),
    "ngettext": (None, 0, 1),
    "ngettext_lazy": (None, 0, 1),
    "pgettext": (0, 1, None),
    "pgettext_lazy": (0, 1, None),
    "npgettext": (0, 1, 2),
}
PACKAGES = ("accounts", "deployx", "devices", "scheduling")
_LITERAL = r"""u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_CALL = re.compile(rf"\b(n?p?gettext|_)\(\s*({_LITERAL}(?:\s*,\s*{_LITERAL})*)", re.DOTALL)


class Message(NamedTuple):
    context: str
    singular: str
    plural: str


def extract(checkout: Path) -> dict[Message, list[str]]:
    """Every message, with the files that say it."""
    found: dict[Message, list[str]] = {}
    for path, messages in _everywhere(checkout):
        for message in messages:
            places = found.setdefault(message, [])
            if path not in places:
                places.append(path)
    return found


def _everywhere(checkout: Path) -> Iterator[tuple[str, Iterable[Message]]]:
    for package in PACKAGES:
        for path in sorted((checkout / package).rglob("*.py")):
            if not {"tests", "migrations"} & set(path.parts):
                yield path.relative_to(checkout).as_posix(), of_python(path.read_text())
    for path in sorted((checkout / "templates").rglob("*.*")):
        yield path.relative_to(checkout).as_posix(), of_template(path.read_text())
    yield "devices/agent/kinds", of_kinds()


def of_python(source: str) -> Iterator[Message]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            texts = [one.value if isinstance(one, ast.Constant) else None for one in node.args]
            yield from _marked(node.func.id, texts)


def of_template(source: str) -> Iterator[Message]:
    for name, literals in _CALL.findall(templatize(source)):
        yield from _marked(name, [ast.literal_eval(one) for one in re.findall(_LITERAL, literals)])


def of_kinds() -> Iterator[Message]:
    """The agent knows no gettext: the pages translate what the registry tells them."""
    for kind in kinds.every():
        yield Message("", kind.label, "")
        for field in kind.form_fields():
            texts = (field.label, field.help, *(label for _value, label in field.choices))
            yield from (Message("", text, "") for text in texts if text)
    for one in FORMATS.values():
        yield Message("", one.label, "")


def _marked(name: str, texts: Sequence[object]) -> Iterator[Message]:
    places = [place for place in MARKS.get(name, ()) if place is None or place < len(texts)]
    given = ["" if place is None else texts[place] for place in places]
    if len(given) == len(Message._fields) and all(isinstance(text, str) for text in given):
        yield Message(*map(str, given))
