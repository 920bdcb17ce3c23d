"""What is wrong with a rule, field by field."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class RuleError(ValueError):
    """`errors` maps each wrong field of the task to what is wrong with it."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(errors)
        self.errors = errors


class Found:
    """Collects errors, so that a person hears of all of them at once."""

    def __init__(self) -> None:
        self.errors: dict[str, list[str]] = {}

    def add(self, field: str, *messages: str) -> None:
        self.errors.setdefault(field, []).extend(messages)

    def attempt(self, field: str, check: Callable[[object], T], value: object) -> T | None:
        """What `check` makes of the value; None, and noted, where it raises ValueError."""
        try:
            return check(value)
        except ConfigError as error:
            self.add(field, *error.messages)
        except ValueError as error:
            self.add(field, str(error))
        return None

    def raise_if_any(self) -> None:
        if self.errors:
            raise RuleError(self.errors)


class ConfigError(ValueError):
    """Several messages about one field."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__(messages)
        self.messages = messages
