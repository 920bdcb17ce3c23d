"""Keeps who changed what of a task. Called by the verbs that change it, in their transaction, so that
every door is covered: pages, API, commands, import, the admin.

A change of a plain field is {"field", "old", "new"}; of a list {"field", "added", "removed"}, each
{"count", "some"}. Fields inside others are named by their path: `rollout.strategy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User as Account

from scheduling import definitions, lost_kinds
from scheduling.models import TaskChange

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from scheduling.models import ScheduledTask

HIDDEN = "•••"
SCHEDULE = ("recurrence_type", "recurrence_config", "time_zone")
NESTED = ("task_payload", "rollout", "retry")
LONGEST_TEXT = 500
MOST_OF_A_LIST = 20
Snapshot = dict[str, Any]


def snapshot(task: ScheduledTask) -> Snapshot:
    """Every field that people set, by its path."""
    given = definitions.as_input(task) | {"user_id": task.user_id}
    given["task_payload"] = _payload(task)
    found: Snapshot = {"schedule": {name: given.pop(name) for name in SCHEDULE}}
    for name, value in given.items():
        if name in NESTED:
            found |= {f"{name}.{key}": one for key, one in value.items()}
        else:
            found[name] = value
    found["depends_on"] = [f"{one['on']} {one['task_id']}" for one in given["depends_on"]]
    return _with_pairs_apart(task, found)


def created(task: ScheduledTask, user: User) -> None:
    _keep(task, user, TaskChange.Verb.CREATED)


def paused(task: ScheduledTask, user: User) -> None:
    _keep(task, user, TaskChange.Verb.PAUSED)


def resumed(task: ScheduledTask, user: User) -> None:
    _keep(task, user, TaskChange.Verb.RESUMED)


def lost_target(task: ScheduledTask, field: str, gone: str) -> None:
    """A device or group was deleted, and the task had it as a target."""
    found = {"field": field, **_list_difference([gone], [])}
    _keep(task, None, TaskChange.Verb.EDITED, [found])


def edited(task: ScheduledTask, user: User | None, before: Snapshot) -> None:
    """What differs from before; nothing where nothing does. Without a user the system did it."""
    after = snapshot(task)
    secret = _secret_paths(task)
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    found = [_difference(name, before.get(name), after.get(name), secret) for name in names]
    if found:
        _keep(task, user, TaskChange.Verb.EDITED, found)


def _keep(
    task: ScheduledTask, user: User | None, verb: str, found: list[dict[str, Any]] | None = None
) -> None:
    if not task.ad_hoc:
        TaskChange.objects.create(task=task, user=user, verb=verb, fields=found or [])


def _payload(task: ScheduledTask) -> dict[str, Any]:
    """As the kind's form has it: written in another way, a payload has not changed. Nothing of a kind
    that is lost: it cannot change, and what of it is secret nobody knows."""
    kind = lost_kinds.find(task.task_type)
    if kind is None:
        return {}
    values = kind.form_values(task.task_payload)
    return {one.name: values.get(one.name) for one in kind.form_fields()}


def _with_pairs_apart(task: ScheduledTask, found: Snapshot) -> Snapshot:
    """Each named value, such as a variable of the environment, by a path of its own."""
    for path in _secret_paths(task):
        pairs = found.pop(path, None) or {}
        found |= {f"{path}.{name}": value for name, value in pairs.items()}
    return found


def _secret_paths(task: ScheduledTask) -> tuple[str, ...]:
    """Where people put passwords: the named values that a kind hands to what it runs."""
    kind = lost_kinds.find(task.task_type)
    fields = kind.form_fields() if kind else ()
    return tuple(f"task_payload.{one.name}" for one in fields if one.widget == "pairs")


def _difference(name: str, old: Any, new: Any, secret: tuple[str, ...]) -> dict[str, Any]:
    if any(name.startswith(f"{path}.") for path in secret):
        return {"field": name, "old": _hidden(old), "new": _hidden(new)}
    if isinstance(old, list) or isinstance(new, list):
        return {"field": name, **_list_difference(old or [], new or [])}
    if name == "user_id":
        old, new = _account(old), _account(new)
    return {"field": name, "old": _plain(old), "new": _plain(new)}


def _list_difference(old: list[Any], new: list[Any]) -> dict[str, Any]:
    before, after = set(map(str, old)), set(map(str, new))
    return {
        "added": _some([one for one in map(str, new) if one not in before]),
        "removed": _some([one for one in map(str, old) if one not in after]),
    }


def _some(items: list[str]) -> dict[str, Any]:
    return {"count": len(items), "some": [_plain(one) for one in items[:MOST_OF_A_LIST]]}


def _hidden(value: object) -> str | None:
    return None if value is None else HIDDEN


def _account(pk: int) -> str:
    return Account.objects.get(pk=pk).get_username()


def _plain(value: Any) -> Any:
    """As JSON keeps it, clipped."""
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return value[:LONGEST_TEXT] + "…"
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return value.isoformat() if isinstance(value, datetime) else value
