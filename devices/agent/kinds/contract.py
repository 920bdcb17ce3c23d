"""What a kind of work is: the one description that server, forms, API and device all read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

JsonObject = dict[str, Any]
StreamName = Literal["stdout", "stderr"]
Widget = Literal["text", "textarea", "checkbox", "select", "pairs", "numbers", "lines"]


class PayloadError(ValueError):
    """`errors` names every wrong field: {field: [message, …]}."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(said)}" for name, said in errors.items()))
        self.errors: dict[str, list[str]] = {name: list(said) for name, said in errors.items()}


@dataclass(frozen=True, slots=True)
class Requirements:
    """What the device's local policy must allow before the run is accepted."""

    shell: str | None = None
    run_as: str | None = None
    directories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FormField:
    """One input of the kind's form. `pairs` is a name/value table, `lines` a list of texts,
    `numbers` whole numbers separated by commas."""

    name: str
    label: str
    widget: Widget
    help: str = ""
    required: bool = False
    initial: Any = None
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """How a kind's `run` ended; `steps`, `changed` and `reboot_required` go into `detail`."""

    succeeded: bool
    exit_code: int | None
    summary: str
    steps: tuple[JsonObject, ...] = ()
    changed: bool | None = None
    reboot_required: bool | None = None


class CannotStart(Exception):
    """The program could not be started at all; the text says why, for a person."""


class Stopped(Exception):
    """The run is being cancelled or has timed out; a kind lets this pass."""


class Context(Protocol):
    """What the shim offers to `run`, inside the run's own process on the device."""

    @property
    def system(self) -> str:
        """linux, macos or windows."""

    def execute(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        working_directory: str | None = None,
        run_as: str | None = None,
    ) -> int:
        """Run a program to its end, its output going to the run's output, and answer its exit
        code (128 + n when signal n ended it). Raises CannotStart and Stopped."""

    def write(self, stream: StreamName, data: bytes) -> None:
        """Put the kind's own words into the run's output."""


class Kind(ABC):
    """A kind registers one instance of itself. All but `run` is pure and works anywhere."""

    name: ClassVar[str]
    label: ClassVar[str]
    payload_field: ClassVar[str]

    @abstractmethod
    def parse(self, payload: object, *, rollout: Mapping[str, object] | None = None) -> JsonObject:
        """The payload with every default written out; parsing that again answers the same.
        Raises PayloadError. `rollout` is the task's own, where the two must agree."""

    @abstractmethod
    def summary(self, payload: JsonObject) -> str:
        """One line for lists and logs, from a parsed payload."""

    @abstractmethod
    def schema(self) -> JsonObject:
        """The payload as JSON Schema (2020-12), for OpenAPI."""

    @abstractmethod
    def form_fields(self) -> tuple[FormField, ...]: ...

    def form_values(self, payload: JsonObject) -> JsonObject:
        """What the form's fields show of a parsed payload, by field name."""
        return payload

    @abstractmethod
    def requires(self, payload: JsonObject) -> Requirements: ...

    @abstractmethod
    def run(self, payload: JsonObject, context: Context) -> Finished: ...

    def rollout_options(self, payload: object) -> JsonObject:
        """Members of an unparsed payload that are meant for the rollout; parse() drops them."""
        return {}

    def rollback(self, payload: JsonObject) -> JsonObject | None:
        """The payload, of the same kind, that undoes a parsed one; None where there is none."""
        return None

    def files(self, payload: JsonObject) -> tuple[str, ...]:
        """SHA-256 of every file a parsed payload needs on the device."""
        return ()
