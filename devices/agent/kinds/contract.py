"""What a kind of work is: the one description that server, forms, API and device all read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

JsonObject = dict[str, Any]
StreamName = Literal["stdout", "stderr"]
Widget = Literal[
    "text", "textarea", "checkbox", "select", "pairs", "numbers", "lines", "files", "software"
]


class PayloadError(ValueError):
    """`errors` names every wrong field: {field: [message, …]}."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(said)}" for name, said in errors.items()))
        self.errors: dict[str, list[str]] = {name: list(said) for name, said in errors.items()}


@dataclass(frozen=True, slots=True)
class Requirements:
    """What the device's local policy must allow before the run is accepted.

    `shell` runs its commands: None where it has none, "" for the device's own; on these `systems` alone,
    where they are named."""

    shell: str | None = None
    run_as: str | None = None
    directories: tuple[str, ...] = ()
    systems: tuple[str, ...] | None = None

    def shell_on(self, system: str) -> str | None:
        if self.shell is None or (self.systems is not None and system not in self.systems):
            return None
        return self.shell or ("powershell" if system == "windows" else "sh")


@dataclass(frozen=True, slots=True)
class FormField:
    """One input of the kind's form. `pairs` is a name/value table, `lines` a list of texts,
    `numbers` whole numbers separated by commas, `files` and `software` ids out of the catalogue."""

    name: str
    label: str
    widget: Widget
    help: str = ""
    required: bool = False
    initial: Any = None
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """How a kind's `run` ended; all but the first three go into `detail` where they say something.

    `installed`: the software this run found on the device at its end, objects of `id`, `name` and
    `version` (null: it is not there). `kept`: paths whose earlier content a restore puts back."""

    succeeded: bool
    exit_code: int | None
    summary: str
    steps: tuple[JsonObject, ...] = ()
    changed: bool | None = None
    reboot_required: bool | None = None
    installed: tuple[JsonObject, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class References:
    """The ids in the server's catalogue that a payload names; of the software, `removed` is what it
    takes off the devices."""

    files: tuple[str, ...] = ()
    software: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file as the server stores it; `size` None where only its digest is known (an address)."""

    name: str
    sha256: str
    size: int | None

    def to_json(self) -> JsonObject:
        return {"name": self.name, "sha256": self.sha256, "size": self.size}


class Unresolved(Exception):
    """The catalogue no longer has what a payload names; the text says what, for a person."""


class Catalogue(Protocol):
    """What the server offers to `resolve`."""

    def files(self, ids: Sequence[str]) -> list[FileFacts]:
        """In the order of the ids. Raises Unresolved."""

    def software(self, ids: Sequence[str]) -> list[JsonObject]:
        """These and what they depend on, each once and after its dependencies: objects of `id`,
        `name`, `version`, `publisher`, `requirements` and `sources`. Raises Unresolved."""


class NotFetched(Exception):
    """A file could not be brought to the device; the text says why, for a person."""


class CannotStart(Exception):
    """The program could not be started at all; the text says why, for a person."""


class Stopped(Exception):
    """The run is being cancelled or has timed out. A kind lets this pass, or raises it anew with
    `so_far`: what it had done until then; whether it succeeded and its summary are not looked at."""

    def __init__(self, so_far: Finished | None = None) -> None:
        super().__init__()
        self.so_far = so_far


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

    def ask(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Run a program for what it prints: its exit code, and the first 64 KiB of its standard
        output, which go nowhere else. Raises CannotStart and Stopped."""

    def write(self, stream: StreamName, data: bytes) -> None:
        """Put the kind's own words into the run's output."""

    def check(self) -> None:
        """Raises Stopped once the run is being ended: for what runs no program for a while."""

    def fetch(self, file: FileFacts) -> Path:
        """The file on this device, whole and with the signed digest, to be read and not to be
        changed; it is there until the run ends. Raises NotFetched and Stopped."""

    @property
    def run_id(self) -> str: ...

    @property
    def scratch(self) -> Path:
        """A folder for this run alone, which goes with it."""

    @property
    def execution(self) -> str:
        """The execution's id: several attempts on this device may belong to it."""

    @property
    def memory(self) -> Path:
        """A folder of the agent's own, 0700, in which a kind keeps what outlives its runs."""

    @property
    def min_free_bytes(self) -> int:
        """How much is to stay free on the disk that `memory` is on."""


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
    def requires(self, order: JsonObject) -> Requirements: ...

    @abstractmethod
    def run(self, order: JsonObject, context: Context) -> Finished: ...

    def abandoned(self, run: str, memory: Path) -> None:  # noqa: B027  (most leave nothing)
        """Called by the agent when the process of a run is gone and has not succeeded: a place to
        undo what it left half done, because it was killed, the power failed, or it was stopped and
        stuck in something. Mostly there is nothing. Nobody reads what it raises."""

    def rollout_options(self, payload: object) -> JsonObject:
        """Members of an unparsed payload that are meant for the rollout; parse() drops them."""
        return {}

    def rollback(self, order: JsonObject) -> JsonObject | None:
        """The order, of the same kind, that undoes this one; None where there is none."""
        return None

    def resume(self, order: JsonObject, execution: str) -> JsonObject:
        """The order of a retry of an execution that had this one; mostly the same."""
        return order

    def references(self, payload: JsonObject) -> References:
        """What a parsed payload names in the catalogue: it must be there and the person's to use."""
        return References()

    def resolve(self, payload: JsonObject, catalogue: Catalogue) -> JsonObject:
        """The order: a parsed payload with all that a device must know in place of ids. It is what
        is signed, sent, and given to `accept`, `requires`, `files`, `rollback` and `run`. Raises
        Unresolved."""
        return payload

    def accept(self, order: object) -> JsonObject:
        """On the device: the order, checked again. Raises PayloadError."""
        return self.parse(order)

    def files(self, order: JsonObject) -> tuple[str, ...]:
        """SHA-256 of every file that an order may fetch."""
        return ()
