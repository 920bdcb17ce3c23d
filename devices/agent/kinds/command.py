"""Kind `command`: one or several shell commands."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from . import register
from .contract import (
    CannotStart,
    Context,
    Finished,
    FormField,
    JsonObject,
    Kind,
    Requirements,
)
from .reading import Reading, is_unstorable, line_problem

SHELLS = {
    "sh": ("/bin/sh", "-c", "--"),
    "bash": ("bash", "-c", "--"),
    "powershell": ("powershell", "-NoProfile", "-NonInteractive", "-Command"),
    "pwsh": ("pwsh", "-NoProfile", "-NonInteractive", "-Command"),
    "cmd": ("cmd", "/d", "/s", "/c"),
}
STRATEGIES = ("parallel", "rolling", "canary", "blue_green", "transactional")
MAX_COMMANDS = 100
MAX_VARIABLES = 100
MAX_EXIT_CODES = 50
RESERVED = "DEPLOYX_"

_ABSOLUTE = re.compile(r"/|[A-Za-z]:[\\/]|\\\\")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_CANNOT_START = 127
_IN_ORDER = "Run in this order; each may have several lines."
_FIELDS = frozenset(
    {
        "command",
        "commands",
        "shell",
        "stop_on_failure",
        "working_directory",
        "environment",
        "run_as",
        "success_exit_codes",
        "rollback_command",
        "strategy",
    }
)


@register
class Command(Kind):
    name = "command"
    label = "Command"
    payload_field = "command_payload"

    def parse(self, payload: object, *, rollout: Mapping[str, object] | None = None) -> JsonObject:
        return _Reading.of(payload).normalised(rollout or {})

    def summary(self, payload: JsonObject) -> str:
        commands = _commands(payload)
        line = " ".join("; ".join(commands).split())
        if len(commands) > 1:
            line = f"{len(commands)} commands: {line}"
        return line if len(line) <= 120 else line[:119] + "…"

    def schema(self) -> JsonObject:
        command = {"type": "string", "minLength": 1}
        return {
            "type": "object",
            "additionalProperties": False,
            "oneOf": [{"required": ["command"]}, {"required": ["commands"]}],
            "properties": {
                "command": command,
                "commands": {
                    "type": "array",
                    "items": command,
                    "minItems": 1,
                    "maxItems": MAX_COMMANDS,
                },
                "shell": {"type": "string", "enum": list(SHELLS)},
                "stop_on_failure": {"type": "boolean", "default": True},
                "working_directory": {"type": "string"},
                "environment": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "maxProperties": MAX_VARIABLES,
                },
                "run_as": {"type": "string"},
                "success_exit_codes": {
                    "type": "array",
                    "items": {"type": "integer"},
                    "default": [0],
                    "minItems": 1,
                    "maxItems": MAX_EXIT_CODES,
                },
                "rollback_command": command,
                "strategy": {"type": "string", "enum": list(STRATEGIES), "writeOnly": True},
            },
        }

    def form_fields(self) -> tuple[FormField, ...]:
        shells = (("", "The device's own"), *((name, name) for name in SHELLS))
        return (
            FormField("commands", "Commands", "lines", _IN_ORDER, required=True),
            FormField("shell", "Shell", "select", choices=shells),
            FormField("stop_on_failure", "Stop at the first failure", "checkbox", initial=True),
            FormField("working_directory", "Working directory", "text", "An absolute path."),
            FormField("environment", "Environment", "pairs"),
            FormField("run_as", "Run as", "text", "An account on the device."),
            FormField("success_exit_codes", "Exit codes of success", "numbers", initial=[0]),
            FormField("rollback_command", "Rollback command", "textarea"),
        )

    def form_values(self, payload: JsonObject) -> JsonObject:
        return {**payload, "commands": _commands(payload)}

    def requires(self, payload: JsonObject) -> Requirements:
        directory = payload.get("working_directory")
        return Requirements(
            shell=payload.get("shell") or "",
            run_as=payload.get("run_as"),
            directories=(directory,) if directory else (),
        )

    def rollout_options(self, payload: object) -> JsonObject:
        strategy = payload.get("strategy") if isinstance(payload, dict) else None
        return {"strategy": strategy} if strategy in STRATEGIES else {}

    def rollback(self, payload: JsonObject) -> JsonObject | None:
        undo = payload.get("rollback_command")
        if undo is None:
            return None
        left_out = ("command", "commands", "rollback_command")
        kept = {name: value for name, value in payload.items() if name not in left_out}
        return {"command": undo, **kept}

    def run(self, payload: JsonObject, context: Context) -> Finished:
        shell = payload.get("shell") or ("powershell" if context.system == "windows" else "sh")
        steps: list[JsonObject] = []
        failed: JsonObject | None = None
        for number, command in enumerate(_commands(payload), 1):
            step = _step(number, (*SHELLS[shell], command), payload, context)
            steps.append(step)
            if step["exit_code"] not in payload["success_exit_codes"] or "error" in step:
                failed = failed or step
                if payload["stop_on_failure"]:
                    break
        return _judge(steps, failed, len(_commands(payload)))


def _commands(payload: JsonObject) -> list[str]:
    return payload["commands"] if "commands" in payload else [payload["command"]]


def _step(number: int, argv: tuple[str, ...], payload: JsonObject, context: Context) -> JsonObject:
    began = time.monotonic()
    step: JsonObject = {"step": number}
    try:
        step["exit_code"] = context.execute(
            argv,
            environment=payload["environment"],
            working_directory=payload.get("working_directory"),
            run_as=payload.get("run_as"),
        )
    except CannotStart as problem:
        step["exit_code"] = _CANNOT_START
        step["error"] = str(problem)[:500]
    step["seconds"] = round(time.monotonic() - began, 3)
    return step


def _judge(steps: list[JsonObject], failed: JsonObject | None, commands: int) -> Finished:
    """The exit code is that of the first command that failed, else of the last one."""
    telling = failed or steps[-1]
    summary = telling.get("error") or f"exit code {telling['exit_code']}"
    if failed and commands > 1:
        summary = f"command {failed['step']} of {commands}: {summary}"
    return Finished(failed is None, telling["exit_code"], summary, tuple(steps))


class _Reading(Reading):
    def normalised(self, rollout: Mapping[str, object]) -> JsonObject:
        taken: JsonObject = {
            **self._commands(),
            "shell": self.choice("shell", SHELLS),
            "stop_on_failure": self.flag("stop_on_failure", True),
            "working_directory": self._directory(),
            "environment": self._environment(),
            "run_as": self.account("run_as"),
            "success_exit_codes": self._exit_codes(),
            "rollback_command": self.line("rollback_command"),
        }
        self._strategy(rollout)
        return self.finished(taken, _FIELDS)

    def _commands(self) -> JsonObject:
        given = [name for name in ("command", "commands") if self.raw.get(name) is not None]
        if len(given) != 1:
            for name in given or ["command"]:
                self.wrong(name, "Give either command or commands.")
            return {}
        if given == ["command"]:
            return {"command": self.line("command")}
        lines = self.raw["commands"]
        if not isinstance(lines, list) or not 1 <= len(lines) <= MAX_COMMANDS:
            self.wrong("commands", f"Give a list of 1 to {MAX_COMMANDS} commands.")
            return {}
        for number, line in enumerate(lines, 1):
            if problem := line_problem(line):
                self.wrong("commands", f"Command {number}: {problem}")
        return {"commands": lines}

    def _directory(self) -> str | None:
        value = self.raw.get("working_directory")
        if value is None:
            return None
        if not isinstance(value, str) or not _ABSOLUTE.match(value) or is_unstorable(value):
            self.wrong("working_directory", "Must be an absolute path.")
            return None
        return value

    def _environment(self) -> dict[str, str]:
        value = self.raw.get("environment")
        if value is None:
            return {}
        if not isinstance(value, dict) or len(value) > MAX_VARIABLES:
            self.wrong("environment", f"Must be an object of at most {MAX_VARIABLES} texts.")
            return {}
        for name, text in value.items():
            if problem := _variable_problem(name, text):
                self.wrong("environment", f"{str(name)[:128]}: {problem}")
        return dict(value)

    def _exit_codes(self) -> list[int]:
        value = self.raw.get("success_exit_codes")
        if value is None:
            return [0]
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_EXIT_CODES:
            self.wrong("success_exit_codes", f"Give a list of 1 to {MAX_EXIT_CODES} numbers.")
            return [0]
        if any(type(code) is not int or not -(2**31) <= code < 2**31 for code in value):
            self.wrong("success_exit_codes", "Every exit code is a whole number of 32 bits.")
        return list(value)

    def _strategy(self, rollout: Mapping[str, object]) -> None:
        strategy = self.choice("strategy", dict.fromkeys(STRATEGIES))
        planned = rollout.get("strategy")
        if strategy and planned and strategy != planned:
            self.wrong("strategy", "Differs from rollout.strategy.")
        if "transactional" in (strategy, planned) and self.raw.get("rollback_command") is None:
            self.wrong("rollback_command", "A transactional rollout needs a rollback command.")


def _variable_problem(name: object, text: object) -> str | None:
    if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
        return "is not the name of a variable."
    if name.upper().startswith(RESERVED):
        return f"names that begin with {RESERVED} are reserved."
    if not isinstance(text, str) or is_unstorable(text):
        return "the value must be text."
    return None
