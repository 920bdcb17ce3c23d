"""A readable query over devices, and the rows it stands for.

    os = linux and tag.site in (berlin, hamburg) and not software.nginx >= 1.24
    name ~ web or facts.memory_bytes < 4000000000
    tag.retired

`=` and `!=` compare whole values without regard to case, `~` asks whether a text is contained; `<` and
its kin compare numbers, and versions part by part. A field alone asks whether it is there.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import cache, reduce
from typing import Any

from django.db.models import Exists, F, FloatField, OuterRef, Q, TextField, Value
from django.db.models.expressions import Func
from django.db.models.lookups import Lookup
from django.utils.translation import gettext as _
from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, VisitError
from lark.visitors import Transformer_NonRecursive

from devices.models import InstalledSoftware

MOST_CHARACTERS = 2_000
MOST_TERMS = 100
MOST_PARTS = 16
COLUMNS = {
    "name": "name",
    "hostname": "hostname",
    "os": "os",
    "architecture": "architecture",
    "version": "agent_version",
}
FIELDS = (*COLUMNS, "tag.NAME", "facts.NAME", "software.NAME")

_GRAMMAR = r"""
    ?start: either
    ?either: both ("or"i both)*           -> either
    ?both: one ("and"i one)*              -> both
    ?one: "not"i one                      -> negated
        | "(" either ")"
        | FIELD OPERATOR value            -> compared
        | FIELD "in"i "(" value ("," value)* ")" -> among
        | FIELD                           -> present
    value: WORD | STRING | FIELD
    OPERATOR: "!=" | "<=" | ">=" | "=" | "~" | "<" | ">"
    FIELD.2: /(?!(?:and|or|not|in)\b)[A-Za-z][A-Za-z0-9_]*(?:\.(?:"[^"]+"|[A-Za-z0-9_+-]+))*/i
    WORD: /(?!(?:and|or|not|in)\b)[A-Za-z0-9_.:+\/-]+/i
    STRING: /"(?:[^"\\]|\\.)*"/
    %import common.WS
    %ignore WS
"""
_ORDERED = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,9})?")


class BadQuery(ValueError):
    """The query cannot be read; the text says where (line and column count from 1)."""


def parse(text: str) -> Q:
    """The condition on devices that a query stands for. Raises BadQuery."""
    if len(text) > MOST_CHARACTERS:
        raise BadQuery(_("A query has at most %s characters.") % MOST_CHARACTERS)
    try:
        tree = _parser().parse(text)
        if sum(1 for _one in tree.find_pred(_is_term)) > MOST_TERMS:
            raise BadQuery(_("A query has at most %s conditions.") % MOST_TERMS)
        condition: Q = _Conditions().transform(tree)
    except VisitError as problem:
        if isinstance(problem.orig_exc, BadQuery):
            raise problem.orig_exc from None
        raise
    except UnexpectedInput as problem:
        raise BadQuery(_where(text, problem)) from None
    return condition


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", maybe_placeholders=False)


def _is_term(tree: Any) -> bool:
    return tree.data in ("compared", "among", "present")


def _where(text: str, problem: UnexpectedInput) -> str:
    if isinstance(problem, UnexpectedEOF) or getattr(problem, "token", None) == Token("$END", ""):
        return _("The query ends too soon.")
    found = text[problem.pos_in_stream or 0 :][:20] if problem.pos_in_stream is not None else ""
    if not found and not isinstance(problem, UnexpectedCharacters):
        return _("The query ends too soon.")
    said = _("Line %(line)s, column %(column)s: %(found)r is not expected here.")
    return said % {"line": problem.line, "column": problem.column, "found": found}


class _Conditions(Transformer_NonRecursive[Token, Q]):
    """Builds the condition from the leaves up. Raises BadQuery inside lark's VisitError."""

    def either(self, parts: list[Q]) -> Q:
        return reduce(operator.or_, parts)

    def both(self, parts: list[Q]) -> Q:
        return reduce(operator.and_, parts)

    def negated(self, parts: list[Q]) -> Q:
        return ~parts[0]

    def value(self, parts: list[Token]) -> str:
        token = parts[0]
        if token.type == "STRING":
            return re.sub(r"\\(.)", r"\1", token[1:-1])
        return str(token)

    def compared(self, parts: list[Any]) -> Q:
        field, sign, value = parts
        condition = _field(str(field))
        return condition(str(sign), value)

    def among(self, parts: list[Any]) -> Q:
        condition = _field(str(parts[0]))
        return reduce(operator.or_, (condition("=", value) for value in parts[1:]))

    def present(self, parts: list[Any]) -> Q:
        return _field(str(parts[0]))("?", "")


Condition = Callable[[str, str], Q]


def _field(text: str) -> Condition:
    first, *rest = _parts(text)
    name = first.lower()
    if name in COLUMNS and not rest:
        return lambda sign, value: _on_text(
            F(COLUMNS[name]), sign, value, is_version=name == "version"
        )
    if name == "tag" and len(rest) == 1:
        return lambda sign, value: _on_json("tags", rest, sign, value)
    if name == "facts" and rest:
        return lambda sign, value: _on_json("facts", rest, sign, value)
    if name == "software" and len(rest) == 1:
        return lambda sign, value: _on_software(rest[0], sign, value)
    said = _("%(field)s is not a field; there are %(known)s.")
    raise BadQuery(said % {"field": text, "known": ", ".join(FIELDS)})


def _parts(text: str) -> list[str]:
    return [one.strip('"') for one in re.findall(r'"[^"]+"|[^."]+', text)]


def _on_text(field: Any, sign: str, value: str, *, is_version: bool) -> Q:
    if sign == "?":
        return ~Q(_is(field, "exact", Value("")))
    if sign in _ORDERED:
        if not is_version:
            raise BadQuery(_("%s does not order texts; use = or ~.") % sign)
        return Q(_is(_Version(field), _ORDERED[sign], _Version(Value(value, TextField()))))
    if sign == "~":
        return Q(_is(field, "icontains", Value(value)))
    same = Q(_is(field, "iexact", Value(value)))
    return ~same if sign == "!=" else same


def _on_json(column: str, path: list[str], sign: str, value: str) -> Q:
    if len(path) > MOST_PARTS:
        raise BadQuery(_("A field has at most %s parts.") % MOST_PARTS)
    text = _JsonText(F(column), *(Value(name, TextField()) for name in path))
    is_there = Q(_is(text, "isnull", False))
    if sign == "?":
        return is_there
    if sign in _ORDERED:
        if not _NUMBER.fullmatch(value):
            raise BadQuery(
                _("%(sign)s needs a number, not %(value)r.") % {"sign": sign, "value": value}
            )
        return Q(_is(_Number(text), _ORDERED[sign], Value(float(value))))
    if sign == "~":
        return Q(_is(text, "icontains", Value(value)))
    same = Q(_is(text, "iexact", Value(value)))
    return ~(is_there & same) if sign == "!=" else same


def _on_software(name: str, sign: str, value: str) -> Q:
    found = InstalledSoftware.objects.filter(device=OuterRef("pk"), name__iexact=name)
    if sign != "?":
        wanted = "=" if sign == "!=" else sign
        found = found.filter(_on_text(F("version"), wanted, value, is_version=True))
    there = Q(Exists(found))
    return ~there if sign == "!=" else there


def _is(left: Any, lookup: str, right: Any) -> Any:
    made: type[Lookup[Any]] | None = TextField().get_lookup(lookup)
    if isinstance(left, (_Number, _Version)):
        made = FloatField().get_lookup(lookup)
    assert made is not None
    return made(left, right)


class _JsonText(Func):
    """What stands at a path, as text. Every part names a member: Django's own transforms take one of
    digits for a place in a list."""

    function = "jsonb_extract_path_text"
    output_field = TextField()


class _Number(Func):
    """A text as a number, NULL where it is none, or none that the database can hold: an error would be
    one of the whole question, about every device."""

    template = "substring(%(expressions)s from '^-?[0-9]{1,15}(?:[.][0-9]{1,100})?$')::float8"
    output_field = FloatField()


class _Version(Func):
    """The numbers in a text, to be compared one after the other: 1.24 < 1.100."""

    template = (
        "NULLIF(string_to_array(btrim(regexp_replace(%(expressions)s, '[^0-9]+', '.', 'g'), '.'), '.'),"
        " ARRAY[]::text[])::numeric[]"
    )
    output_field = FloatField()
