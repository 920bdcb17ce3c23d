"""Frames to text and back. Strict both ways: what does not fit is a ProtocolError."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn, get_args

from .fields import JsonObject, ProtocolError, Table, build, table, unbuild
from .frames import AgentFrame, Frame, Hello, JournalEntry, JournalState, Recalled, ServerFrame

MAX_FRAME_BYTES = 128 * 1024


def _refuse_constant(name: str) -> NoReturn:
    raise ProtocolError(f"{name} is not JSON")


_parse = json.JSONDecoder(parse_constant=_refuse_constant).decode
_write = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _type_name(cls: type[Any]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


_TABLES: dict[type[Any], tuple[str, Table]] = {
    cls: (_type_name(cls), table(cls)) for cls in get_args(Frame)
}
_FROM_AGENT = {_type_name(cls): (cls, table(cls)) for cls in get_args(AgentFrame)}
_FROM_SERVER = {_type_name(cls): (cls, table(cls)) for cls in get_args(ServerFrame)}


def encode(frame: Frame) -> str:
    """The frame as JSON text; ProtocolError when it is over 128 KiB."""
    name, rows = _TABLES[type(frame)]
    written = _write({"type": name, **unbuild(rows, frame)})
    if _is_too_long(written):
        raise ProtocolError(f"{name}: over {MAX_FRAME_BYTES} bytes")
    return written


def decode_from_agent(text: str) -> AgentFrame:
    frame: AgentFrame = _decode(text, _FROM_AGENT)
    if isinstance(frame, Hello | Recalled):
        _check_entries(frame.journal)
    return frame


def decode_from_server(text: str) -> ServerFrame:
    frame: ServerFrame = _decode(text, _FROM_SERVER)
    return frame


def parse_object(text: str | bytes) -> JsonObject:
    """Strict JSON whose outermost value is an object."""
    try:
        raw = _parse(text if isinstance(text, str) else text.decode())
    except ProtocolError:
        raise
    except (ValueError, RecursionError):
        raise ProtocolError("not JSON") from None
    if type(raw) is not dict:
        raise ProtocolError("not a JSON object")
    return raw


def write_object(value: JsonObject) -> str:
    return _write(value)


def _decode(text: str, known: dict[str, tuple[type[Any], Table]]) -> Any:
    if _is_too_long(text):
        raise ProtocolError(f"over {MAX_FRAME_BYTES} bytes")
    raw = parse_object(text)
    name = raw.get("type")
    entry = known.get(name) if type(name) is str else None
    if entry is None:
        raise ProtocolError(f"unknown type {str(name)[:40]!a}")
    return build(entry[0], entry[1], raw, 1)


def _is_too_long(text: str) -> bool:
    if text.isascii():
        return len(text) > MAX_FRAME_BYTES
    return len(text.encode("utf-8", "surrogatepass")) > MAX_FRAME_BYTES


def _check_entries(journal: tuple[JournalEntry, ...]) -> None:
    for entry in journal:
        has_ended = entry.state in (JournalState.ENDED, JournalState.UNKNOWN)
        if has_ended != (entry.result is not None):
            raise ProtocolError("journal: a result stands with ended and unknown only")
