"""Errors a person can act on, raised by verbs and worded for every door alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class InvalidInput(ValueError):
    """Input that was refused; `errors` maps every wrong field to its messages."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        self.errors = {name: list(messages) for name, messages in errors.items()}
        super().__init__("; ".join(f"{name}: {' '.join(m)}" for name, m in self.errors.items()))


class StateConflict(Exception):
    """The object is not in a state that allows this; `status` is the one it is in."""

    def __init__(self, detail: str, status: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


class Unavailable(Exception):
    """Something that is needed for it does not answer, or has no room; later it may work."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class NotAllowed(Exception):
    """Seen, but this person may not do this."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
