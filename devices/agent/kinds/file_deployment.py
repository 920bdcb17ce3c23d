"""Kind `file_deployment`: stored files put at a path, and put back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from . import register
from .contract import (
    Catalogue,
    Context,
    FileFacts,
    Finished,
    FormField,
    JsonObject,
    Kind,
    NotFetched,
    References,
    Requirements,
)
from .reading import Reading, file_problem, is_unstorable

MAX_FILES = 100
MAX_VARIABLES = 100
MAX_PATH = 1_000
_MODE = re.compile(r"0?[0-7]{3,4}")
_OWNER = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?)?(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,31})?"
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_ID = re.compile(r"[0-9a-f-]{36}")
_OPTIONS = (
    "target_path", "create_path_if_not_exists", "mode", "owner", "backup", "overwrite",
    "deployment_name", "template", "variables", "dry_run",
)  # fmt: skip
_INPUT = frozenset({"file_ids", *_OPTIONS})
_ORDER = frozenset({"files", *_OPTIONS})


@register
class FileDeployment(Kind):
    name = "file_deployment"
    label = "File deployment"
    payload_field = "file_payload"

    def parse(self, payload: object, *, rollout: Mapping[str, object] | None = None) -> JsonObject:
        reading = _Reading.of(payload)
        if (rollout or {}).get("strategy") == "transactional":
            reading.wrong("non_field_errors", "A transactional rollout is for commands alone.")
        ids = reading.ids("file_ids", MAX_FILES)
        taken = {"file_ids": ids, **reading.options()}
        reading.check_places(len(ids))
        return reading.finished(taken, _INPUT)

    def accept(self, order: object) -> JsonObject:
        reading = _Reading.of(order)
        if "restore" in reading.raw:
            return reading.finished({"restore": reading.restored()}, {"restore"})
        files = reading.files()
        taken = {"files": files, **reading.options()}
        reading.check_places(len(files))
        return reading.finished(taken, _ORDER)

    def references(self, payload: JsonObject) -> References:
        return References(files=tuple(payload["file_ids"]))

    def resolve(self, payload: JsonObject, catalogue: Catalogue) -> JsonObject:
        files = [one.to_json() for one in catalogue.files(payload["file_ids"])]
        return {"files": files} | {n: v for n, v in payload.items() if n != "file_ids"}

    def files(self, order: JsonObject) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one["sha256"] for one in order.get("files", ())))

    def summary(self, payload: JsonObject) -> str:
        if "restore" in payload:
            return "Put back what was there before"
        number = len(payload.get("file_ids") or payload["files"])
        what = "1 file" if number == 1 else f"{number} files"
        named = payload.get("deployment_name")
        line = f"{what} to {payload['target_path']}"
        return f"{named}: {line}" if named else line

    def requires(self, order: JsonObject) -> Requirements:
        path = order.get("restore", order)["target_path"]
        return Requirements(directories=(folder_of(path),))

    def schema(self) -> JsonObject:
        flag = {"type": "boolean"}
        return {
            "type": "object",
            "additionalProperties": False,
            "required": ["file_ids", "target_path"],
            "properties": {
                "file_ids": {
                    "type": "array",
                    "items": {"type": "string", "format": "uuid"},
                    "minItems": 1,
                    "maxItems": MAX_FILES,
                },
                "target_path": {"type": "string", "maxLength": MAX_PATH},
                "create_path_if_not_exists": {**flag, "default": False},
                "mode": {"type": "string", "pattern": _MODE.pattern},
                "owner": {"type": "string"},
                "backup": {**flag, "default": True},
                "overwrite": {**flag, "default": True},
                "deployment_name": {"type": "string", "maxLength": 200},
                "template": {**flag, "default": False},
                "variables": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "maxProperties": MAX_VARIABLES,
                },
                "dry_run": {**flag, "default": False},
            },
        }

    def form_fields(self) -> tuple[FormField, ...]:
        return (
            FormField("file_ids", "Files", "files", required=True),
            FormField(
                "target_path",
                "Target path",
                "text",
                "An absolute path; with a / at its end it is a folder. Devices with Windows take no"
                " files yet.",
                required=True,
            ),
            FormField("create_path_if_not_exists", "Create missing folders", "checkbox"),
            FormField("mode", "Mode", "text", "Such as 0644; empty keeps that of the old file."),
            FormField("owner", "Owner", "text", "user or user:group."),
            FormField("backup", "Keep the old version", "checkbox", initial=True),
            FormField("overwrite", "Overwrite a different file", "checkbox", initial=True),
            FormField("template", "Replace ${names} by values", "checkbox"),
            FormField("variables", "Values", "pairs"),
            FormField("dry_run", "Only show what would change", "checkbox"),
            FormField("deployment_name", "Name of the deployment", "text"),
        )

    def run(self, order: JsonObject, context: Context) -> Finished:
        if context.system == "windows":
            return Finished(False, None, "files cannot be deployed to Windows yet")
        from .. import deploying  # noqa: PLC0415, TID252  (Windows has not what it needs)

        try:
            if "restore" in order:
                return deploying.restore(order["restore"], context)
            return deploying.deploy(order, [_facts(one) for one in order["files"]], context)
        except (deploying.NotPlaced, NotFetched, deploying.BadTemplate) as problem:
            return Finished(False, None, str(problem), changed=False)

    def abandoned(self, run: str, memory: Any) -> None:
        from .. import deploying  # noqa: PLC0415, TID252

        deploying.undo(run, memory)


class _Reading(Reading):
    def options(self) -> JsonObject:
        return {
            "target_path": self.path(),
            "create_path_if_not_exists": self.flag("create_path_if_not_exists", False),
            "mode": self._matching(
                "mode", _MODE, 'Must be octal digits in quotes, such as "0644".'
            ),
            "owner": self._matching("owner", _OWNER, "Must be user, user:group or :group."),
            "backup": self.flag("backup", True),
            "overwrite": self.flag("overwrite", True),
            "deployment_name": self.title("deployment_name", 200),
            "template": self.flag("template", False),
            "variables": self._variables(),
            "dry_run": self.flag("dry_run", False),
        }

    def check_places(self, number: int) -> None:
        path = self.raw.get("target_path")
        if number > 1 and isinstance(path, str) and not path.endswith("/"):
            self.wrong("target_path", "Several files need a folder: end it with a /.")
        if self.raw.get("variables") and not self.raw.get("template"):
            self.wrong("variables", "Values are used with template only.")

    def files(self) -> list[JsonObject]:
        files = self.raw.get("files")
        if not isinstance(files, list) or not 1 <= len(files) <= MAX_FILES:
            self.wrong("files", f"Give a list of 1 to {MAX_FILES} files.")
            return []
        names = [file_problem(one) for one in files]
        for problem in filter(None, names):
            self.wrong("files", problem)
        return files if not any(names) else []

    def restored(self) -> JsonObject | None:
        """`{"execution": id, "target_path": where it deployed to}`."""
        given = self.raw["restore"]
        if not isinstance(given, dict) or set(given) != {"execution", "target_path"}:
            self.wrong("restore", "Must name an execution and its target_path.")
            return None
        inner = type(self)(given)
        path = inner.path()
        if not isinstance(given["execution"], str) or not _ID.fullmatch(given["execution"]):
            self.wrong("restore", "Must name an execution.")
        self.errors |= inner.errors
        return {"execution": given["execution"], "target_path": path}

    def path(self) -> str | None:
        path = self.raw.get("target_path")
        if not isinstance(path, str) or not path.startswith("/") or len(path) > MAX_PATH:
            self.wrong("target_path", f"Must be an absolute path of at most {MAX_PATH} characters.")
            return None
        parts = PurePosixPath(path).parts
        if ".." in parts or "\n" in path or is_unstorable(path):
            self.wrong("target_path", "May hold no .. and no line break.")
            return None
        if len(parts) < 2:
            self.wrong("target_path", "May not be the root folder.")
        clean = "/".join(["", *parts[1:]])
        return f"{clean}/" if path.endswith("/") else clean

    def _matching(self, name: str, pattern: re.Pattern[str], message: str) -> str | None:
        value = self.raw.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or not pattern.fullmatch(value):
            self.wrong(name, message)
            return None
        return value

    def _variables(self) -> dict[str, str]:
        value = self.raw.get("variables")
        if value is None:
            return {}
        if not isinstance(value, dict) or len(value) > MAX_VARIABLES:
            self.wrong("variables", f"Must be an object of at most {MAX_VARIABLES} texts.")
            return {}
        for name, text in value.items():
            if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
                self.wrong("variables", f"{str(name)[:64]}: is not the name of a variable.")
            elif not isinstance(text, str) or is_unstorable(text):
                self.wrong("variables", f"{name}: the value must be text.")
        return dict(value)


def _facts(given: JsonObject) -> FileFacts:
    return FileFacts(given["name"], given["sha256"], given["size"])


def folder_of(target: str) -> str:
    """The folder a target path puts files into."""
    return str(PurePosixPath(target) if target.endswith("/") else PurePosixPath(target).parent)
