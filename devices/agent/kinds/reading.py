"""One payload on its way in: its fields are taken one by one, and all that is wrong is gathered."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Self
from uuid import UUID

from .contract import JsonObject, PayloadError

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PLAIN_NAME = re.compile(r"[^/\0]{1,255}")
_ACCOUNT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}\$?")


class Reading:
    """Every method answers the clean value, or its default after noting what is wrong."""

    def __init__(self, raw: dict[Any, Any]) -> None:
        self.raw = raw
        self.errors: dict[str, list[str]] = {}

    @classmethod
    def of(cls, payload: object) -> Self:
        """Raises PayloadError for what is no object."""
        if not isinstance(payload, dict):
            raise PayloadError({"non_field_errors": ["A payload is an object."]})
        return cls(payload)

    def finished(self, taken: JsonObject, known: Collection[str]) -> JsonObject:
        """What was taken, without what was not given. Raises PayloadError."""
        for name in self.raw:
            if name not in known:
                self.wrong(str(name), "Unknown field.")
        if self.errors:
            raise PayloadError(self.errors)
        return {name: value for name, value in taken.items() if value is not None}

    def wrong(self, name: str, message: str) -> None:
        self.errors.setdefault(name, []).append(message)

    def line(self, name: str) -> str | None:
        line = self.raw.get(name)
        if line is None:
            return None
        if problem := line_problem(line):
            self.wrong(name, problem)
            return None
        return str(line)

    def choice(self, name: str, choices: Mapping[str, object]) -> str | None:
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or value not in choices:
            self.wrong(name, f"Must be one of {', '.join(choices)}.")
            return None
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.raw.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(name, "Must be true or false.")
            return default
        return value

    def account(self, name: str) -> str | None:
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not _ACCOUNT.fullmatch(value):
            self.wrong(name, "Must be the name of an account.")
            return None
        return value

    def title(self, name: str, longest: int) -> str | None:
        """One line of text that people read; empty means none."""
        value = self.raw.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or len(value) > longest or not value.isprintable():
            self.wrong(name, f"Must be one line of at most {longest} characters.")
            return None
        return value

    def ids(self, name: str, most: int) -> list[str]:
        """At least one id of the catalogue, each once."""
        value = self.raw.get(name)
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            self.wrong(name, f"Give a list of 1 to {most} ids.")
            return []
        ids = [_id(one) for one in value]
        if None in ids:
            self.wrong(name, "Every id is a UUID.")
        return list(dict.fromkeys(one for one in ids if one is not None))


def file_problem(given: object, *, is_sized: bool = True) -> str | None:
    """What is wrong with a file of an order; without `is_sized` its size may be null."""
    if not isinstance(given, dict) or set(given) != {"name", "sha256", "size"}:
        return "A file has name, sha256 and size."
    name, sha256, size = given["name"], given["sha256"], given["size"]
    if not isinstance(name, str) or not _PLAIN_NAME.fullmatch(name) or name in (".", ".."):
        return "A file's name is one component of a path."
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        return f"{name}: not a SHA-256."
    if size is None and not is_sized:
        return None
    return None if type(size) is int and size >= 0 else f"{name}: the size is a number of bytes."


def line_problem(line: object) -> str | None:
    if not isinstance(line, str):
        return "Must be text."
    if not line.strip():
        return "May not be empty."
    return "Holds a character that cannot be passed on." if is_unstorable(line) else None


def is_unstorable(text: str) -> bool:
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)


def _id(value: object) -> str | None:
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None
