"""The options of `schedule add` as a task's input, in the API's names; the verbs check it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from accounts.errors import InvalidInput
from scheduling.cli import finding
from scheduling.forms import values

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_PAYLOAD_FILE_BYTES = 1024 * 1024
# Options that are fields of the same meaning; those left out get the verbs' own defaults.
_SAME = ("description", "tags", "max_runs", "offline_policy", "overlap_policy", "misfire_policy")


def of(options: Mapping[str, Any], user: User) -> dict[str, Any]:
    """Raises InvalidInput for what only this door can tell: names, files, options that clash."""
    errors: dict[str, list[str]] = {}
    targets = _targets(options, user, errors)
    payload = _payload(options, errors)
    if errors:
        raise InvalidInput(errors)
    given = {name: options[name] for name in _SAME if options[name] is not None}
    if options["timeout"] is not None:
        given["timeout_seconds"] = options["timeout"]
    return {
        "name": options["name"],
        "task_type": options["kind"],
        "task_payload": payload,
        **rule_of(options),
        **targets,
        **given,
        **dict(options["fields"]),
    }


def _targets(
    options: Mapping[str, Any], user: User, errors: dict[str, list[str]]
) -> dict[str, list[str]]:
    targets: dict[str, list[str]] = {}
    for name, find in (("devices", finding.devices), ("groups", finding.groups)):
        try:
            targets[f"{name[:-1]}_ids"] = [str(one.pk) for one in find(user, options[name])]
        except InvalidInput as refusal:
            errors.update(refusal.errors)
    return targets


def rule_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """When it runs: type, config, zone and bounds."""
    kind, config = _rule(options)
    if kind in ("weekly", "monthly") and options["at"] is not None:
        config.setdefault("time", options["at"])
    if kind == "monthly" and options["missing_day"] is not None:
        config["missing_day"] = options["missing_day"]
    zone = options["zone"]
    bounds = {
        name: values.instant(options[name], zone)
        for name in ("start_at", "end_at")
        if options[name] is not None
    }
    return {
        "recurrence_type": kind,
        "recurrence_config": config,
        "time_zone": zone,
        **bounds,
    }


def _rule(options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if options["by_hand"] or options["once"] is not None:
        return "once", {"run_at": options["once"]}
    if options["every"] is not None:
        every, unit = options["every"]
        return "interval", {"every": every, "unit": unit}
    if options["daily"] is not None:
        return "daily", {"time": options["daily"]}
    if options["cron"] is not None:
        return "custom", {"cron_expression": options["cron"]}
    kind = "weekly" if options["weekly"] is not None else "monthly"
    return kind, dict(options[kind])


def _payload(options: Mapping[str, Any], errors: dict[str, list[str]]) -> Any:
    """The payload from the file, or built from --command, --shell and --env."""
    commands, path = options["commands"], options["payload_file"]
    built = bool(commands or options["shell"] or options["env"])
    if (path is None) is not built:
        errors["task_payload"] = [_("Give either --command or --payload-file.")]
        return None
    if path is not None:
        return _read(path, errors)
    payload: dict[str, Any] = {}
    if commands:
        payload = {"command": commands[0]} if len(commands) == 1 else {"commands": commands}
    if options["shell"]:
        payload["shell"] = options["shell"]
    if options["env"]:
        payload["environment"] = dict(options["env"])
    return payload


def _read(path: str, errors: dict[str, list[str]]) -> Any:
    try:
        text = _bytes_of(path)
    except OSError as error:
        errors["task_payload"] = [_("Cannot read %(path)s: %(why)s.") % _why(path, error)]
        return None
    if len(text) > MAX_PAYLOAD_FILE_BYTES:
        errors["task_payload"] = [_("%s is too large to be a payload.") % path]
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        errors["task_payload"] = [_("%(path)s is not JSON: %(why)s.") % _why(path, error)]
        return None


def _why(path: str, error: Exception) -> dict[str, object]:
    why = error.strerror if isinstance(error, OSError) else error
    return {"path": path, "why": why}


def _bytes_of(path: str) -> bytes:
    """At most one byte more than is accepted. Raises OSError."""
    if path == "-":
        return sys.stdin.buffer.read(MAX_PAYLOAD_FILE_BYTES + 1)
    with Path(path).open("rb") as file:
        return file.read(MAX_PAYLOAD_FILE_BYTES + 1)
