"""The kinds of work there are. One module a kind: a file put here is a kind that works.

kinds.get("command").parse(payload)
kinds.choices()                        # [("command", "Command"), …]
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TypeVar

from .contract import (
    CannotStart,
    Catalogue,
    Context,
    FileFacts,
    Finished,
    FormField,
    JsonObject,
    Kind,
    NotFetched,
    PayloadError,
    References,
    Requirements,
    Stopped,
    Unresolved,
)

__all__ = [
    "CannotStart",
    "Catalogue",
    "Context",
    "FileFacts",
    "Finished",
    "FormField",
    "JsonObject",
    "Kind",
    "NotFetched",
    "PayloadError",
    "References",
    "Requirements",
    "Stopped",
    "UnknownKind",
    "Unresolved",
    "choices",
    "every",
    "get",
    "register",
]

K = TypeVar("K", bound=type[Kind])

_kinds: dict[str, Kind] = {}


class UnknownKind(LookupError):
    """No kind of this name is installed here."""


def register(cls: K) -> K:
    """Class decorator: the kind takes part from now on."""
    if cls.name in _kinds:
        raise ValueError(f"two kinds call themselves {cls.name}")
    _kinds[cls.name] = cls()
    return cls


def get(name: str) -> Kind:
    """Raises UnknownKind."""
    _load()
    try:
        return _kinds[name]
    except KeyError:
        raise UnknownKind(name) from None


def every() -> list[Kind]:
    _load()
    return sorted(_kinds.values(), key=lambda kind: kind.name)


def choices() -> list[tuple[str, str]]:
    """(name, label) of every kind, in order of name."""
    return [(kind.name, kind.label) for kind in every()]


@cache
def _load() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
