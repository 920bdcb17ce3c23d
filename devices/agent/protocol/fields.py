"""How one field of a frame is written as JSON and checked when it is read.

A field's annotation carries its `Field`; `table()` reads the annotations of a frame once, at
import, and `build()` walks that table for every frame that arrives. All of it refuses with
`ProtocolError`, and nothing else, whatever the other end sent.
"""

from __future__ import annotations

import binascii
import dataclasses
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, get_type_hints

MAX_JSON_DEPTH = 16
MAX_FACTS_BYTES = 32 * 1024
MAX_DETAIL_BYTES = 16 * 1024

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY_ID = re.compile(r"[0-9a-f]{16}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

JsonObject = dict[str, Any]


class ProtocolError(ValueError):
    """The other end did not speak the protocol; the text says how. Close with 4400."""


class Field(NamedTuple):
    """`decode(name, json value)` answers the value or raises ProtocolError; `encode` undoes it
    and is None where the value is its own JSON."""

    decode: Callable[[str, Any], Any]
    encode: Callable[[Any], Any] | None = None


class Row(NamedTuple):
    name: str
    field: Field
    default: Any


REQUIRED: Any = object()
Table = tuple[Row, ...]


def encode_time(moment: datetime) -> str:
    """An aware instant as the wire writes it: UTC, microseconds, `Z`."""
    plain = moment.astimezone(UTC).replace(tzinfo=None)
    return plain.isoformat(timespec="microseconds") + "Z"


def decode_time(name: str, value: Any) -> datetime:
    if type(value) is not str or not _TIME.fullmatch(value):
        raise ProtocolError(f"{name}: not an instant in UTC ending in Z")
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ProtocolError(f"{name}: no such instant") from None


def encode_bytes(value: bytes) -> str:
    return binascii.b2a_base64(value, newline=False).decode("ascii")


def decode_bytes(name: str, value: Any) -> bytes:
    if type(value) is not str:
        raise ProtocolError(f"{name}: not base64 text")
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        raise ProtocolError(f"{name}: not padded standard base64") from None


def matching(pattern: re.Pattern[str], what: str) -> Field:
    def decode(name: str, value: Any) -> str:
        if type(value) is not str or not pattern.fullmatch(value):
            raise ProtocolError(f"{name}: not {what}")
        return value

    return Field(decode)


def text(max_length: int) -> Field:
    """Text that a database can store: no NUL, no lone surrogate."""

    def decode(name: str, value: Any) -> str:
        if type(value) is not str or len(value) > max_length:
            raise ProtocolError(f"{name}: not text of at most {max_length} characters")
        if _UNSTORABLE.search(value):
            raise ProtocolError(f"{name}: holds a character that cannot be stored")
        return value

    return Field(decode)


def whole(lowest: int, highest: int) -> Field:
    def decode(name: str, value: Any) -> int:
        if type(value) is not int or not lowest <= value <= highest:
            raise ProtocolError(f"{name}: not a whole number from {lowest} to {highest}")
        return value

    return Field(decode)


def sized_bytes(length: int) -> Field:
    def decode(name: str, value: Any) -> bytes:
        data = decode_bytes(name, value)
        if len(data) != length:
            raise ProtocolError(f"{name}: not {length} bytes")
        return data

    return Field(decode, encode_bytes)


def one_of(choices: type[StrEnum]) -> Field:
    members = {member.value: member for member in choices}

    def decode(name: str, value: Any) -> StrEnum:
        member = members.get(value) if type(value) is str else None
        if member is None:
            raise ProtocolError(f"{name}: not one of {', '.join(members)}")
        return member

    return Field(decode, str)


def optional(field: Field) -> Field:
    inner = field.encode

    def decode(name: str, value: Any) -> Any:
        return None if value is None else field.decode(name, value)

    def encode(value: Any) -> Any:
        return value if value is None or inner is None else inner(value)

    return Field(decode, encode)


def many(field: Field, at_most: int) -> Field:
    """A JSON list, a tuple in the dataclass."""
    inner = field.encode

    def decode(name: str, value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) > at_most:
            raise ProtocolError(f"{name}: not a list of at most {at_most}")
        return tuple([field.decode(name, item) for item in value])

    def encode(value: Any) -> list[Any]:
        return list(value) if inner is None else [inner(item) for item in value]

    return Field(decode, encode)


def free_object(max_bytes: int) -> Field:
    """A JSON object of the sender's own making: bounded in size, depth and characters."""

    def decode(name: str, value: Any) -> JsonObject:
        if type(value) is not dict:
            raise ProtocolError(f"{name}: not an object")
        if _weigh(name, value, MAX_JSON_DEPTH - 2) > max_bytes:
            raise ProtocolError(f"{name}: over {max_bytes} bytes")
        return value

    return Field(decode)


def _weigh(name: str, value: Any, depth: int) -> int:
    """About how many bytes the value takes as JSON."""
    if type(value) is str:
        if _UNSTORABLE.search(value):
            raise ProtocolError(f"{name}: holds a character that cannot be stored")
        return 2 + (len(value) if value.isascii() else len(value.encode()))
    if type(value) is dict:
        if not depth:
            raise ProtocolError(f"{name}: deeper than {MAX_JSON_DEPTH}")
        return 2 + sum(
            _weigh(name, key, depth - 1) + _weigh(name, item, depth - 1) + 2
            for key, item in value.items()
        )
    if type(value) is list:
        if not depth:
            raise ProtocolError(f"{name}: deeper than {MAX_JSON_DEPTH}")
        return 2 + sum(_weigh(name, item, depth - 1) + 1 for item in value)
    return len(repr(value))


def nested(cls: type[Any], *, tolerant: bool = False) -> Field:
    """An object with a table of its own. `tolerant` overlooks names this end does not know."""
    rows = table(cls)

    def decode(name: str, value: Any) -> Any:
        if type(value) is not dict:
            raise ProtocolError(f"{name}: not an object")
        if tolerant:
            value = {row.name: value[row.name] for row in rows if row.name in value}
        return build(cls, rows, value, 0)

    return Field(decode, lambda value: unbuild(rows, value))


def table(cls: type[Any]) -> Table:
    """The rows of a dataclass whose annotations carry a Field, in order."""
    hints = get_type_hints(cls, include_extras=True)
    rows = []
    for field in dataclasses.fields(cls):
        default = REQUIRED if field.default is dataclasses.MISSING else field.default
        rows.append(Row(field.name, hints[field.name].__metadata__[0], default))
    return tuple(rows)


def build(cls: type[Any], rows: Table, raw: Mapping[str, Any], ignored: int) -> Any:
    """A `cls` from a JSON object of which `ignored` keys (`type`) are not fields."""
    values = []
    for name, field, default in rows:
        if name in raw:
            values.append(field.decode(name, raw[name]))
            ignored += 1
        elif default is REQUIRED:
            raise ProtocolError(f"{name}: missing")
        else:
            values.append(default)
    if ignored != len(raw):
        unknown = sorted(set(raw) - {row.name for row in rows} - {"type"})
        raise ProtocolError(f"unknown field {', '.join(unknown)[:100]!a}")
    return cls(*values)


def unbuild(rows: Table, value: Any) -> JsonObject:
    """The JSON object of a dataclass; what stands at its default of None is left out."""
    raw: JsonObject = {}
    for name, field, default in rows:
        item = getattr(value, name)
        if item is None and default is None:
            continue
        raw[name] = item if field.encode is None else field.encode(item)
    return raw


def _boolean(name: str, value: Any) -> bool:
    if type(value) is not bool:
        raise ProtocolError(f"{name}: neither true nor false")
    return value


def _number(name: str, value: Any) -> float:
    # The decoder has refused NaN and Infinity already; 1e999 is what is left of them.
    if type(value) not in (int, float) or not 0 <= value <= 1e9:
        raise ProtocolError(f"{name}: not a number from 0 to 1000000000")
    return float(value)


UUID_TEXT = matching(_UUID, "a UUID in lower case")
COUNT = whole(0, 2**53)
SHORT_TEXT = text(64)

Id = Annotated[str, UUID_TEXT]
Sha256 = Annotated[str, matching(_SHA256, "a SHA-256 in lower-case hex")]
KeyId = Annotated[str, matching(_KEY_ID, "a key id of 16 hex digits")]
Instant = Annotated[datetime, Field(decode_time, encode_time)]
Binary = Annotated[bytes, Field(decode_bytes, encode_bytes)]
PublicKey = Annotated[bytes, sized_bytes(32)]
Signature = Annotated[bytes, sized_bytes(64)]
Nonce = Annotated[bytes, sized_bytes(32)]
Count = Annotated[int, COUNT]
Seconds = Annotated[int, whole(1, 366 * 86_400)]
ExitCode = Annotated[int | None, optional(whole(-(2**31), 2**31 - 1))]
Flag = Annotated[bool, Field(_boolean)]
Number = Annotated[float, Field(_number)]
ShortText = Annotated[str, SHORT_TEXT]
LongText = Annotated[str, text(2_000)]
FactsObject = Annotated[JsonObject, free_object(MAX_FACTS_BYTES)]
DetailObject = Annotated[JsonObject, free_object(MAX_DETAIL_BYTES)]
