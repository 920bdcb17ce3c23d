"""What a command payload may be, field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from devices.agent import kinds
from devices.agent.kinds import CannotStart, Context, PayloadError

COMMAND = kinds.get("command")
DEFAULTS = {"stop_on_failure": True, "environment": {}, "success_exit_codes": [0]}


def refused(payload: object, rollout: Mapping[str, object] | None = None) -> dict[str, list[str]]:
    with pytest.raises(PayloadError) as caught:
        COMMAND.parse(payload, rollout=rollout)
    return caught.value.errors


FULL = {
    "commands": ["cd /srv", "ls"],
    "shell": "bash",
    "stop_on_failure": False,
    "working_directory": "/srv",
    "environment": {"COLOUR": "blue"},
    "run_as": "deploy",
    "success_exit_codes": [0, 2],
    "rollback_command": "undo",
}


@pytest.mark.parametrize(
    ("payload", "parsed"),
    [
        ({"command": "df -h"}, {"command": "df -h", **DEFAULTS}),
        ({"commands": ["a", "b"]}, {"commands": ["a", "b"], **DEFAULTS}),
        ({"command": "a", "shell": None, "run_as": None}, {"command": "a", **DEFAULTS}),
        ({"command": "a", "strategy": "canary"}, {"command": "a", **DEFAULTS}),
        (FULL, FULL),
    ],
)
def test_a_payload_is_parsed_with_its_defaults(
    payload: dict[str, Any], parsed: dict[str, Any]
) -> None:
    assert COMMAND.parse(payload) == parsed
    assert COMMAND.parse(parsed) == parsed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("command", ""),
        ("command", "  "),
        ("command", 5),
        ("command", "a\0b"),
        ("command", "\ud800"),
        ("shell", "zsh"),
        ("shell", ["sh"]),
        ("stop_on_failure", "yes"),
        ("stop_on_failure", 1),
        ("working_directory", "srv"),
        ("working_directory", "/srv\0"),
        ("working_directory", 5),
        ("environment", []),
        ("environment", {"A-B": "x"}),
        ("environment", {"1A": "x"}),
        ("environment", {"": "x"}),
        ("environment", {"A": 5}),
        ("environment", {"A": "x\0"}),
        ("environment", {"DEPLOYX_RUN_ID": "x"}),
        ("environment", {"deployx_run_id": "x"}),
        ("environment", {f"A{n}": "x" for n in range(101)}),
        ("run_as", "a b"),
        ("run_as", "-x"),
        ("run_as", ""),
        ("success_exit_codes", []),
        ("success_exit_codes", 0),
        ("success_exit_codes", ["0"]),
        ("success_exit_codes", [True]),
        ("success_exit_codes", [2**31]),
        ("rollback_command", ""),
        ("strategy", "all"),
        ("colour", "blue"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    assert list(refused({"command": "true"} | {field: value})) == [field]


@pytest.mark.parametrize("commands", [[], ["a", ""], ["a", 5], "a", ["a"] * 101])
def test_commands_is_a_list_of_commands(commands: object) -> None:
    assert list(refused({"commands": commands})) == ["commands"]


def test_every_wrong_field_is_named_at_once() -> None:
    errors = refused({"command": "a", "commands": ["b"], "shell": "zsh", "x": 1, "run_as": 5})

    assert set(errors) == {"command", "commands", "shell", "x", "run_as"}


@pytest.mark.parametrize("payload", [None, [], "df", 5, {}])
def test_a_command_there_must_be(payload: object) -> None:
    assert refused(payload)


@pytest.mark.parametrize(
    ("strategy", "planned", "fits"),
    [
        (None, "rolling", True),
        ("rolling", None, True),
        ("rolling", "rolling", True),
        ("rolling", "canary", False),
    ],
)
def test_strategy_agrees_with_the_rollouts(
    strategy: str | None, planned: str | None, fits: bool
) -> None:
    payload = {"command": "a", "strategy": strategy}
    rollout = {"strategy": planned} if planned else None

    if fits:
        assert "strategy" not in COMMAND.parse(payload, rollout=rollout)
    else:
        assert list(refused(payload, rollout)) == ["strategy"]


@pytest.mark.parametrize("where", ["payload", "rollout"])
def test_a_transactional_rollout_needs_a_rollback_command(where: str) -> None:
    payload = {"command": "a"} | ({"strategy": "transactional"} if where == "payload" else {})
    rollout = {"strategy": "transactional"} if where == "rollout" else None

    assert list(refused(payload, rollout)) == ["rollback_command"]
    assert COMMAND.parse(payload | {"rollback_command": "b"}, rollout=rollout)


def test_a_strategy_in_the_payload_is_told_to_the_rollout() -> None:
    assert COMMAND.rollout_options({"command": "a", "strategy": "canary"}) == {"strategy": "canary"}
    assert COMMAND.rollout_options({"command": "a"}) == {}
    assert COMMAND.rollout_options("nonsense") == {}


def test_the_rollback_is_a_payload_of_its_own() -> None:
    undo = COMMAND.rollback(COMMAND.parse(FULL))

    assert undo is not None
    assert COMMAND.parse(undo) == undo
    assert (undo["command"], undo["run_as"], undo["shell"]) == ("undo", "deploy", "bash")
    assert COMMAND.rollback(COMMAND.parse({"command": "a"})) is None


def test_the_summary_is_one_short_line() -> None:
    assert COMMAND.summary({"command": "df\n  -h"}) == "df -h"
    assert COMMAND.summary({"commands": ["a", "b"]}) == "2 commands: a; b"
    assert len(COMMAND.summary({"command": "x" * 500})) == 120


def test_policy_is_asked_for_what_the_payload_needs() -> None:
    needs = COMMAND.requires(COMMAND.parse(FULL))

    assert (needs.shell, needs.run_as, needs.directories) == ("bash", "deploy", ("/srv",))
    assert COMMAND.requires({"command": "a"}) == kinds.Requirements(shell="")


def test_the_schema_and_the_form_speak_of_the_fields_that_parse_knows() -> None:
    named = set(COMMAND.schema()["properties"])

    assert named == {*FULL, "command", "strategy"}
    assert {field.name for field in COMMAND.form_fields()} <= named
    assert json.loads(json.dumps(COMMAND.schema())) == COMMAND.schema()


class Device:
    """As much of a Context as a command uses: answers the given exit codes, notes what was run."""

    def __init__(self, *codes: int | CannotStart, system: str = "linux") -> None:
        self.system = system
        self.codes = list(codes)
        self.ran: list[tuple[str, ...]] = []

    def execute(self, argv: Sequence[str], **options: Any) -> int:
        self.ran.append(tuple(argv))
        code = self.codes.pop(0)
        if isinstance(code, CannotStart):
            raise code
        return code

    def write(self, stream: str, data: bytes) -> None:
        raise AssertionError("a command says nothing of its own")


@pytest.mark.parametrize(
    ("codes", "stop", "succeeded", "exit_code", "steps"),
    [
        ((0, 0, 0), True, True, 0, 3),
        ((0, 2, 0), True, True, 0, 3),
        ((0, 7, 0), True, False, 7, 2),
        ((0, 7, 0), False, False, 7, 3),
        ((5, 7, 0), False, False, 5, 3),
        ((CannotStart("no bash"), 0, 0), True, False, 127, 1),
    ],
)
def test_commands_run_in_order_and_the_first_failure_tells(
    codes: tuple[Any, ...], stop: bool, succeeded: bool, exit_code: int, steps: int
) -> None:
    payload = COMMAND.parse(
        {"commands": ["a", "b", "c"], "stop_on_failure": stop, "success_exit_codes": [0, 2]}
    )
    device = Device(*codes)

    finished = COMMAND.run(payload, cast("Context", device))

    assert (finished.succeeded, finished.exit_code, len(finished.steps)) == (
        succeeded,
        exit_code,
        steps,
    )
    assert [argv[-1] for argv in device.ran] == ["a", "b", "c"][:steps]


@pytest.mark.parametrize(
    ("shell", "system", "program"),
    [
        (None, "linux", "/bin/sh"),
        (None, "macos", "/bin/sh"),
        (None, "windows", "powershell"),
        ("bash", "linux", "bash"),
        ("cmd", "windows", "cmd"),
        ("pwsh", "linux", "pwsh"),
    ],
)
def test_the_shell_is_the_payloads_or_the_systems(
    shell: str | None, system: str, program: str
) -> None:
    device = Device(0, system=system)

    COMMAND.run(COMMAND.parse({"command": "x", "shell": shell}), cast("Context", device))

    assert device.ran[0][0] == program
