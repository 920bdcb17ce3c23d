"""YAML as it is written and read here: plain values, and nothing that means two things.

Of YAML's own readings only null, true, false and decimal numbers are known; any other plain word is
text: `12:30`, `on`, `2027-01-31` and `0644` are what they look like.
"""

from __future__ import annotations

import io
import math
import re
from typing import Any

from django.utils.translation import gettext as _
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {word: value for value in (True, False)
            for word in (str(value), str(value).lower(), str(value).upper())}  # fmt: skip
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)
# Written without quotes: words that no reader of any YAML takes for anything but text.
_WORDS = re.compile(r"[A-Za-z][A-Za-z0-9_.]*([ /_-]+[A-Za-z0-9_.]+)*", re.ASCII)
_NOT_TEXT_ELSEWHERE = frozenset(
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"]
)
# Written line by line: lines that begin and end with something to be seen.
_BLOCK = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?\n+)+", re.ASCII)


class DocumentError(ValueError):
    """What was given is no document that is read here; the text says why and where."""


def read(data: bytes) -> Any:
    """The one value in this YAML: dicts with text for keys, lists, text, numbers, booleans, null.

    Raises DocumentError for what is too large or too deep, and for anchors, aliases, tags,
    directives, doubled keys and a second document.
    """
    if len(data) > MAX_BYTES:
        raise DocumentError(_("It is larger than %s KiB.") % (MAX_BYTES // 1024))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DocumentError(_("It is not UTF-8.")) from None
    reader = _Reader()
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            reader.take(event)
    except MarkedYAMLError as error:
        raise _at(error.problem_mark, _("It is not YAML: %s.") % (error.problem or "")) from None
    except YAMLError as error:
        raise DocumentError(_("It is not YAML: %s.") % str(error).partition("\n")[0]) from None
    except DocumentError:
        raise
    except (ValueError, OverflowError, AssertionError):
        # What the parser makes of \UFFFFFFFF and of %YAML 1.20.
        raise DocumentError(_("It is not YAML.")) from None
    return reader.value


def write(value: Any, *, comment: str = "") -> str:
    """The value as YAML that `read` answers it from, quoted so that other readers agree."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.width = 2**20
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    out = io.StringIO()
    for line in comment.splitlines():
        out.write(f"# {line}\n")
    yaml.dump(value, out)
    return out.getvalue()


def _at(mark: Any, message: str) -> DocumentError:
    if mark is None:
        return DocumentError(message)
    where = _("Line %(line)s, column %(column)s: ") % {
        "line": mark.line + 1,
        "column": mark.column + 1,
    }
    return DocumentError(where + message)


class _Reader:
    """Puts the value together from the events of the parser, and refuses before it builds."""

    def __init__(self) -> None:
        self.value: Any = None
        self._open: list[_Open] = []
        self._documents = 0

    def take(self, event: Event) -> None:
        match event:
            case DocumentStartEvent():
                self._begin(event)
            case AliasEvent():
                raise _at(event.start_mark, _("Aliases are not taken."))
            case ScalarEvent():
                _refuse_decoration(event)
                self._add(event)
            case MappingStartEvent() | SequenceStartEvent():
                _refuse_decoration(event)
                self._descend(event)
            case MappingEndEvent() | SequenceEndEvent():
                self._open.pop()

    def _begin(self, event: DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            raise _at(event.start_mark, _("There is a second document."))
        if event.version or event.tags:
            raise _at(event.start_mark, _("Directives are not taken."))

    def _descend(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise _at(event.start_mark, _("It is nested more than %s deep.") % MAX_DEPTH)
        value: dict[str, Any] | list[Any] = {} if isinstance(event, MappingStartEvent) else []
        if self._open and self._open[-1].wants_key:
            raise _at(event.start_mark, _("A key has to be text."))
        self._put(value)
        self._open.append(_Open(value))

    def _add(self, event: ScalarEvent) -> None:
        if self._open and self._open[-1].wants_key:
            self._open[-1].name(_text(event), event)
        else:
            self._put(_scalar(event))

    def _put(self, value: Any) -> None:
        if self._open:
            self._open[-1].put(value)
        else:
            self.value = value


class _Open:
    """A list or a mapping that has not come to its end, and the key whose value comes next."""

    def __init__(self, value: dict[str, Any] | list[Any]) -> None:
        self._value = value
        self._key: str | None = None

    @property
    def wants_key(self) -> bool:
        return isinstance(self._value, dict) and self._key is None

    def name(self, key: str, event: ScalarEvent) -> None:
        if key in self._value:
            raise _at(event.start_mark, _("“%s” is there twice.") % key[:60])
        self._key = key

    def put(self, value: Any) -> None:
        if isinstance(self._value, list):
            self._value.append(value)
        else:
            assert self._key is not None
            self._value[self._key] = value
            self._key = None


def _refuse_decoration(event: ScalarEvent | MappingStartEvent | SequenceStartEvent) -> None:
    if event.anchor is not None:
        raise _at(event.start_mark, _("Anchors are not taken."))
    if event.ctag is not None:
        raise _at(event.start_mark, _("Tags are not taken."))


def _text(event: ScalarEvent) -> str:
    text = str(event.value)
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise _at(event.start_mark, _("A text holds a character that cannot be stored."))
    return text


def _scalar(event: ScalarEvent) -> Any:
    text = _text(event)
    if not event.implicit[0]:
        return text  # it has quotes
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return _decimal(text, event) if _DECIMAL.fullmatch(text) else text


def _decimal(text: str, event: ScalarEvent) -> float:
    number = float(text) if len(text) <= 40 else math.inf
    if not math.isfinite(number) or text.lstrip("-").isdigit():
        raise _at(event.start_mark, _("A number is too large; what is text needs quotes."))
    return number


class _Representer(SafeRepresenter):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, text: str) -> ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text))


_Representer.add_representer(str, _Representer.represent_text)


def _style(text: str) -> str | None:
    if _BLOCK.fullmatch(text if text.endswith("\n") else text + "\n") and "\n" in text:
        return "|"
    is_plain = _WORDS.fullmatch(text) and text.lower() not in _NOT_TEXT_ELSEWHERE
    return None if is_plain else '"'
