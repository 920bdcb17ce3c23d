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
from django.utils.translation import gettext as _

from scheduling import definitions, drafts, progress
from scheduling.models import Execution, ScheduledTask
from scheduling.options import Retry, Rollout

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User

    from scheduling.models import DeviceRun

MASK = "***"
# Names of a payload under which values stand that may be secret.
MASKED = ("environment", "variables")
# A line that names more would not be read.
MOST_TARGETS = 50
_SIGNED = '"Authorization: Bearer $DEPLOYX_TOKEN"'
_OPTIONS = (
    "rollout", "retry", "offline_policy", "expires_after_seconds", "timeout_seconds",
)  # fmt: skip
_ID = """python -c 'import json, sys; print(json.load(sys.stdin)["id"])'"""
_Targets = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Lines:
    """`cli` and `curl` do it once more, `output` fetches what a run wrote. Where no line can say it,
    `why_not` says why."""

    cli: str = ""
    curl: str = ""
    output: str = ""
    is_masked: bool = False
    why_not: str = ""


def of_execution(execution: Execution, user: User) -> Lines | None:
    """The same work on the same targets, a retry's on its devices; None where it was not given by
    people, or nobody is left."""
    payload, targets = _payload(execution), _targets(execution)
    if payload is None or not any(targets.values()):
        return None
    task = _task_as_then(execution, user)
    is_short = sum(map(len, targets.values())) <= MOST_TARGETS
    if not is_short and task is None:
        return Lines(why_not=_why_not(execution))
    by_hand = _post(f"tasks/{task}/execute")
    return Lines(
        cli=_run(str(task), user) if task else _add_and_run(execution, payload, targets, user),
        curl=_post("executions", _body(execution, payload, targets)) if is_short else by_hand,
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


def _targets(execution: Execution) -> _Targets:
    """As they were named; of a retry, which is on some of them, the devices it ran on. A few more
    than a line can name stand for any number."""
    if execution.trigger != Execution.Trigger.RETRY:
        return {name: execution.definition.get(name, []) for name in ("device_ids", "group_ids")}
    runs = execution.runs.filter(progress.COUNTED, device__isnull=False).order_by("pk")
    devices = runs.values_list("device", flat=True)[: MOST_TARGETS + 1]
    return {"device_ids": [str(one) for one in devices], "group_ids": []}


def _task_as_then(execution: Execution, user: User) -> UUID | None:
    """The task, while to run it is to do the same on the same targets."""
    if execution.trigger == Execution.Trigger.RETRY or execution.task_id is None:
        return None
    task = ScheduledTask.objects.visible_to(user).filter(pk=execution.task_id).first()
    then = execution.definition
    is_same = task and all(getattr(task, name) == then.get(name) for name in drafts.SNAPSHOT)
    return task.pk if task and is_same else None


def _why_not(execution: Execution) -> str:
    if execution.trigger == Execution.Trigger.RETRY:
        return _("It ran on more devices than a line can name (%s).") % MOST_TARGETS
    said = _(
        "It had more targets than a line can name (%s), and its task is no longer what it was then."
    )
    return said % MOST_TARGETS


def _body(execution: Execution, payload: Mapping[str, Any], targets: _Targets) -> dict[str, Any]:
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
    """`task` as a shell is to read it."""
    return f"python manage.py schedule run --wait {_as(user)} -- {task}"


def _add_and_run(
    execution: Execution,
    payload: Mapping[str, Any],
    targets: _Targets,
    user: User,
    of: UUID | None = None,
) -> str:
    """A task without a time of its own, named unlike the one it is like; the last line means it and
    no other, however often that was done."""
    name = f"{execution.task_name[:180]} ({str(of or execution.pk)[-12:]})"
    named = [f"--device {one}" for one in targets["device_ids"]]
    named += [f"--group {one}" for one in targets["group_ids"]]
    return _long(
        [
            f"task=$(printf %s {_json(payload)} |",
            f"python manage.py schedule add --by-hand --kind {execution.task_type}",
            *named,
            *_set(execution.definition),
            f"--payload-file - --json {_as(user)} -- {shlex.quote(name)} |",
            f"{_ID}) &&",
            _run('"$task"', user),
        ]
    )


def _set(definition: Mapping[str, Any]) -> list[str]:
    """The options that are not what a task has by itself."""
    defaults = {name: definitions.DEFAULTS[name]() for name in _OPTIONS}
    defaults |= {"rollout": Rollout.defaults(), "retry": Retry.defaults()}
    return [
        f"--set {shlex.quote(f'{name}={json.dumps(changed)}')}"
        for name in _OPTIONS
        if name in definition
        and (changed := _changed(definition[name], defaults[name])) is not None
    ]


def _changed(value: Any, default: Any) -> Any:
    """What of it is not the default; None where nothing is."""
    if isinstance(value, Mapping):
        return {name: one for name, one in value.items() if one != default.get(name)} or None
    return None if value == default else value


def _as(user: User) -> str:
    return f"--user {shlex.quote(user.get_username())}"


def _json(value: object) -> str:
    return shlex.quote(json.dumps(value, ensure_ascii=False))


def _address(path: str) -> str:
    return shlex.quote(str(settings.DEPLOYX_PUBLIC_URL).rstrip("/") + path)


def _long(parts: Sequence[str]) -> str:
    return " \\\n  ".join(parts)
