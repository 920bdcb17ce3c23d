"""What an execution or a run did, as lines to paste into a shell: for our command line and for curl.

No secret is in them: the token is a variable of the reader's shell, and values that may be secret are
masked, for the reader to fill in.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User

    from scheduling.models import DeviceRun, Execution

MASK = "***"
# Names of a payload under which values stand that may be secret.
MASKED = ("environment", "variables")
# A line that names more would not be read.
MOST_TARGETS = 50
_SIGNED = '"Authorization: Bearer $DEPLOYX_TOKEN"'
_OPTIONS = (
    "rollout", "retry", "offline_policy", "expires_after_seconds", "timeout_seconds",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lines:
    """`cli` and `curl` do it once more, `output` fetches what a run wrote."""

    cli: str
    curl: str
    output: str
    is_masked: bool


def of_execution(execution: Execution, user: User) -> Lines | None:
    """The same work on the same targets; None where a line cannot say so."""
    payload = _payload(execution)
    if payload is None:
        return None
    targets = {name: execution.definition.get(name, []) for name in ("device_ids", "group_ids")}
    is_short = sum(map(len, targets.values())) <= MOST_TARGETS
    if execution.task_id is None and not is_short:
        return None
    task = execution.task_id
    by_hand = _post(f"tasks/{task}/execute") if task else ""
    return Lines(
        cli=_run(str(task), user) if task else _add_and_run(execution, payload, targets, user),
        curl=_post("executions", _body(execution, payload, targets)) if is_short else by_hand,
        output="",
        is_masked=is_short and payload != execution.definition["task_payload"],
    )


def of_run(run: DeviceRun, user: User) -> Lines | None:
    """The same work on the run's device alone."""
    execution = run.execution
    payload = _payload(execution)
    if payload is None or run.device_id is None:
        return None
    targets = {"device_ids": [str(run.device_id)], "group_ids": []}
    return Lines(
        cli=_add_and_run(execution, payload, targets, user, of=run.pk),
        curl=_post("executions", _body(execution, payload, targets)),
        output=_get(f"runs/{run.pk}/output"),
        is_masked=payload != execution.definition["task_payload"],
    )


def _payload(execution: Execution) -> dict[str, Any] | None:
    """What it was given, masked; None where it was not given by people, or nothing."""
    payload = execution.definition.get("task_payload")
    if not payload or "restore" in payload:
        return None
    masked = {name: dict.fromkeys(payload[name], MASK) for name in MASKED if payload.get(name)}
    return {**payload, **masked}


def _body(
    execution: Execution, payload: Mapping[str, Any], targets: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    kept = {name: execution.definition[name] for name in _OPTIONS if name in execution.definition}
    named = {"name": execution.task_name, "task_type": execution.task_type}
    return {**named, "task_payload": payload, **targets, **kept}


def _post(path: str, body: Mapping[str, Any] | None = None) -> str:
    parts = [f"curl --fail-with-body -X POST -H {_SIGNED}"]
    if body is not None:
        parts += ["-H 'Content-Type: application/json'", f"--data {_json(body)}"]
    return _long([*parts, _address(f"/api/schedule/{path}")])


def _get(path: str) -> str:
    start = f"curl --fail-with-body -H {_SIGNED} -H 'Accept: text/plain'"
    return _long([start, _address(f"/api/schedule/{path}")])


def _run(task: str, user: User) -> str:
    return f"python manage.py schedule run --wait {_as(user)} -- {shlex.quote(task)}"


def _add_and_run(
    execution: Execution,
    payload: Mapping[str, Any],
    targets: Mapping[str, Sequence[str]],
    user: User,
    of: UUID | None = None,
) -> str:
    """A task without a time of its own, named so that the last line means no other."""
    name = f"{execution.task_name[:180]} ({str(of or execution.pk)[-12:]})"
    named = [f"--device {one}" for one in targets["device_ids"]]
    named += [f"--group {one}" for one in targets["group_ids"]]
    return _long(
        [
            f"printf %s {_json(payload)} |",
            f"python manage.py schedule add --by-hand --kind {execution.task_type}",
            *named,
            f"--payload-file - {_as(user)} -- {shlex.quote(name)} &&",
            _run(name, user),
        ]
    )


def _as(user: User) -> str:
    return f"--user {shlex.quote(user.get_username())}"


def _json(value: object) -> str:
    return shlex.quote(json.dumps(value, ensure_ascii=False))


def _address(path: str) -> str:
    return shlex.quote(str(settings.DEPLOYX_PUBLIC_URL).rstrip("/") + path)


def _long(parts: Sequence[str]) -> str:
    return " \\\n  ".join(parts)
