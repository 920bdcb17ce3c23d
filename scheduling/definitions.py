"""What a person may write into a task, checked in one place for API, forms, CLI and import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from accounts import fields
from accounts.errors import InvalidInput
from devices.agent import kinds
from devices.agent.protocol import MAX_PAYLOAD_BYTES
from scheduling import dependencies, lost_kinds, payloads, recurrence, usable
from scheduling.catalogue import lookup
from scheduling.models import ScheduledTask
from scheduling.options import TRANSACTIONAL, OptionsError, Retry, Rollout

MAX_DEVICES = 10_000
MAX_GROUPS = 100
MAX_EXCLUDED_DATES = 366

_DAY = 86_400
CHECKS: dict[str, fields.Check] = {
    "name": fields.text(200, shortest=1, one_line=True),
    "description": fields.text(10_000),
    "tags": fields.tags,
    "task_type": fields.one_of([name for name, label in kinds.choices()]),
    "recurrence_type": fields.one_of(ScheduledTask.RecurrenceType.values),
    "recurrence_config": fields.anything,
    "time_zone": fields.text(64, shortest=1, one_line=True),
    "start_at": fields.instant,
    "end_at": fields.instant,
    "max_runs": fields.whole_number(1, 1_000_000, optional=True),
    "jitter_seconds": fields.whole_number(0, 7 * _DAY),
    "excluded_dates": fields.plain_list,
    "device_ids": fields.identifiers(MAX_DEVICES),
    "group_ids": fields.identifiers(MAX_GROUPS),
    "task_payload": fields.anything,
    "depends_on": fields.plain_list,
    "misfire_policy": fields.one_of(ScheduledTask.MisfirePolicy.values),
    "misfire_grace_seconds": fields.whole_number(0, 7 * _DAY),
    "overlap_policy": fields.one_of(ScheduledTask.OverlapPolicy.values),
    "offline_policy": fields.one_of(ScheduledTask.OfflinePolicy.values),
    "expires_after_seconds": fields.whole_number(1, 30 * _DAY),
    "timeout_seconds": fields.whole_number(1, _DAY),
    "rollout": fields.anything,
    "retry": fields.anything,
    "user_id": fields.whole_number(1, 2**31 - 1),
}
RECURRENCE_FIELDS = (
    "recurrence_type", "recurrence_config", "time_zone", "start_at", "end_at", "excluded_dates",
    "jitter_seconds",
)  # fmt: skip
# A change to one of these makes a new plan from now; any other edit leaves the plan alone.
PLAN_FIELDS = (*RECURRENCE_FIELDS, "max_runs")
DEFAULTS: dict[str, Callable[[], Any]] = {
    "description": str,
    "tags": list,
    "time_zone": lambda: "UTC",
    "start_at": lambda: None,
    "end_at": lambda: None,
    "max_runs": lambda: None,
    "jitter_seconds": lambda: 0,
    "excluded_dates": list,
    "device_ids": list,
    "group_ids": list,
    "depends_on": list,
    "misfire_policy": lambda: "run_latest",
    "misfire_grace_seconds": lambda: 300,
    "overlap_policy": lambda: "skip",
    "offline_policy": lambda: "queue",
    "expires_after_seconds": lambda: _DAY,
    "timeout_seconds": lambda: 3_600,
    "rollout": dict,
    "retry": dict,
}
# What stands in for what is missing or wrong of a rule, so that the rest of it can be checked.
_BY_HAND = {"recurrence_type": "once", "recurrence_config": {"run_at": None}}
_NO_RULE = {name: DEFAULTS[name]() for name in RECURRENCE_FIELDS if name in DEFAULTS} | _BY_HAND
REQUIRED = ("name", "task_type", "recurrence_type", "recurrence_config", "task_payload")
Errors = dict[str, list[str]]


@dataclass(slots=True)
class Definition:
    """A checked definition: the task's column values, and what lives in tables of its own."""

    values: dict[str, Any]
    depends_on: list[dict[str, str]] = field(default_factory=list)


def check(
    data: Mapping[str, Any],
    *,
    user: User,
    now: datetime,
    task: ScheduledTask | None = None,
    partial: bool = False,
    made_at: datetime | None = None,
) -> Definition:
    """The definition that `data` gives a new task, or an existing one (`partial`: only what is given).

    `made_at`: when a new task was made that comes from elsewhere; its one time may lie in the past.
    Raises InvalidInput naming every wrong field, NotAllowed where the person may not use a target
    that the task has already.
    """
    if task is not None and lost_kinds.is_lost(task.task_type):
        raise InvalidInput({"task_type": [lost_kinds.sentence(task.task_type)]})
    errors: Errors = {}
    given = _with_payload(data, task, errors)
    values = _checked(_completed(given, task, partial), errors)
    _check_kind(values, task, errors)
    _check_options(values, given, errors)
    _check_payload(values, _payload_name(data), user, task, errors)
    _check_rule(values, task, now, errors, made_at=made_at)
    usable.check(values, user, task, errors)
    _check_owner(values, user, task, errors)
    depends_on = _check_dependencies(values.pop("depends_on", []), user, task, errors)
    if errors:
        raise InvalidInput(errors)
    return Definition(values, depends_on)


def check_some(
    data: Mapping[str, Any], *, user: User, now: datetime, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Of a task's input the fields that are there, `task_type` always, and those of `before` that it
    leaves out, each checked as far as it goes without the others. Targets and times may be gone by.
    Raises InvalidInput."""
    errors: Errors = {}
    given = _with_payload(data, None, errors)
    some = {**(before or {}), **given}
    values = _checked({**{name: make() for name, make in DEFAULTS.items()}, **some}, errors)
    if options := _check_options(values, given, errors):
        some["rollout"] = options
    _check_payload(values, _payload_name(data), user, None, errors)
    if "recurrence_config" in some and "recurrence_type" not in some:
        errors["recurrence_type"] = [_("This field is required.")]
    _check_rule(values, None, now, errors, made_at=now)
    if errors:
        raise InvalidInput(errors)
    return {name: values[name] for name in some if name in values}


def parse_rule(
    data: Mapping[str, Any],
    *,
    now: datetime,
    errors: Errors | None = None,
    task: ScheduledTask | None = None,
) -> recurrence.Rule:
    """The rule in the recurrence fields of `data`, as a new task would have it, or this one.

    Raises InvalidInput, with the `errors` the caller found already.
    """
    errors = {} if errors is None else errors
    for name in [name for name in data if name not in RECURRENCE_FIELDS]:
        errors[str(name)[:100]] = [_("This field is not known.")]
    given = {**{name: DEFAULTS[name]() for name in RECURRENCE_FIELDS if name in DEFAULTS}, **data}
    values = _checked({name: given[name] for name in RECURRENCE_FIELDS if name in given}, errors)
    for name in ("recurrence_type", "recurrence_config"):
        if name not in given:
            errors[name] = [_("This field is required.")]
    rule = _check_rule(values, task, now, errors)
    if errors or rule is None:
        raise InvalidInput(errors)
    return rule


def _payload_name(data: Mapping[str, Any]) -> str:
    """The name under which the payload came, which is the one its errors are to carry."""
    return next((name for name in payload_fields() if name in data), "task_payload")


def _with_payload(
    data: Mapping[str, Any], task: ScheduledTask | None, errors: Errors
) -> dict[str, Any]:
    """`data` with the payload under `task_payload`, whatever its kind calls it."""
    given = dict(data)
    present = [name for name in ("task_payload", *payload_fields()) if name in given]
    if len(present) > 1:
        for name in present:
            errors[name] = [_("Only one payload may be given.")]
    kind_name = given.get("task_type", task.task_type if task else None)
    for name in present:
        payload = given.pop(name)
        if name != "task_payload" and payload_fields()[name] != kind_name:
            errors[name] = [_("Does not fit task_type %s.") % kind_name]
        given["task_payload"] = payload
    for name in [name for name in given if name not in CHECKS]:
        errors[str(name)[:100]] = [_("This field is not known.")]
        del given[name]
    return given


def payload_fields() -> dict[str, str]:
    """The name each kind gives its payload, to the kind's own name."""
    return {kind.payload_field: kind.name for kind in kinds.every()}


def _completed(given: dict[str, Any], task: ScheduledTask | None, partial: bool) -> dict[str, Any]:
    """The given fields; those left out keep their value (`partial`) or get their default."""
    if task is None or not partial:
        completed = {name: make() for name, make in DEFAULTS.items()} | given
    else:
        completed = as_input(task) | given
    if task is not None:
        completed.setdefault("task_type", task.task_type)
    return completed


def as_input(task: ScheduledTask) -> dict[str, Any]:
    """The task in the form `check` takes, so that what is written back unchanged changes nothing."""
    names = [name for name in CHECKS if name not in ("depends_on", "user_id")]
    return {name: getattr(task, name) for name in names} | {
        "depends_on": [
            {"task_id": str(one.parent_id), "on": one.on} for one in task.dependencies.all()
        ]
    }


def _checked(given: dict[str, Any], errors: Errors) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in given.items():
        try:
            values[name] = CHECKS[name](value)
        except ValueError as error:
            errors.setdefault(name, []).append(str(error))
    return values


def _check_kind(values: dict[str, Any], task: ScheduledTask | None, errors: Errors) -> None:
    for name in REQUIRED:
        if name not in values and name not in errors:
            errors[name] = [_("This field is required.")]
    if task is not None and values.get("task_type", task.task_type) != task.task_type:
        errors["task_type"] = [_("Cannot change; it is %s.") % task.task_type]


def _check_options(
    values: dict[str, Any], given: Mapping[str, Any], errors: Errors
) -> dict[str, Any]:
    """Answers what the payload says of the rollout: it takes the place of what was kept, and never of
    what is given."""
    options: dict[str, Any] = {}
    if isinstance(values.get("rollout"), dict) and "task_type" in values:
        kind = kinds.get(values["task_type"])
        options = kind.rollout_options(values.get("task_payload"))
        kept, wanted = ({}, values["rollout"]) if "rollout" in given else (values["rollout"], {})
        values["rollout"] = {**kept, **options, **wanted}
    parsers: dict[str, Callable[[object], Rollout | Retry]] = {
        "rollout": Rollout.parse,
        "retry": Retry.parse,
    }
    for name, parse in parsers.items():
        try:
            values[name] = parse(values.get(name, {})).to_json()
        except OptionsError as error:
            values.pop(name, None)  # no kind is shown what is no rollout
            errors[name] = error.messages
    return options


def _check_payload(
    values: dict[str, Any], name: str, user: User, task: ScheduledTask | None, errors: Errors
) -> None:
    kind_name = values.get("task_type")
    if kind_name is None or "task_payload" not in values or name in errors:
        return
    try:
        values["task_payload"] = kinds.get(kind_name).parse(
            values["task_payload"], rollout=values.get("rollout")
        )
    except kinds.PayloadError as error:
        errors[name] = [
            f"{where}: {message}" if where else message
            for where, messages in error.errors.items()
            for message in messages
        ]
    else:
        errors |= _payload_problems(values, name, user, task)
        if _cannot_be_undone(values):
            errors["rollout"] = [_("A transactional rollout needs a command with its rollback.")]


def _cannot_be_undone(values: dict[str, Any]) -> bool:
    strategy = values.get("rollout", {}).get("strategy")
    undo = kinds.get(values["task_type"]).rollback(values["task_payload"])
    return strategy == TRANSACTIONAL and undo is None


def _payload_problems(
    values: dict[str, Any], name: str, user: User, task: ScheduledTask | None
) -> Errors:
    """What is wrong with a parsed payload here: what it names is not there, or it is too large for
    the devices. What the task names already stays, whoever edits it."""
    kind_name, payload = values["task_type"], values["task_payload"]
    kept = lookup.named(task.task_type, task.task_payload) if task else set()
    missing = {
        what: new
        for what, ids in lookup.missing_for(user, kind_name, payload).items()
        if (new := [one for one in ids if one not in kept])
    }
    if missing:
        said = _("%(what)s: Not found: %(ids)s.")
        return {
            name: [
                said % {"what": what, "ids": ", ".join(ids[:5])} for what, ids in missing.items()
            ]
        }
    try:
        size = len(payloads.to_bytes(lookup.order_of(kind_name, payload)))
    except kinds.Unresolved as problem:
        return {name: [str(problem)]}
    if size > MAX_PAYLOAD_BYTES:
        return {name: [_("must have at most %s bytes as JSON.") % MAX_PAYLOAD_BYTES]}
    return {}


def _check_rule(
    values: dict[str, Any],
    task: ScheduledTask | None,
    now: datetime,
    errors: Errors,
    *,
    made_at: datetime | None = None,
) -> recurrence.Rule | None:
    """The rule in these values, or None where one of its fields is missing or wrong; what is wrong
    with the others is found all the same."""
    anchor = task.created_at if task else made_at or now
    names = [name for name in RECURRENCE_FIELDS if name in values and name not in errors]
    if not _BY_HAND.keys() <= set(names):
        names = [name for name in names if name not in _BY_HAND]
    given = _NO_RULE | {name: values[name] for name in names}
    try:
        rule = rule_of(given, task, anchor)
        # Compared as they are stored: written another way, a rule is not a new one.
        if task is None or (rule.config, rule.zone.key) != (task.recurrence_config, task.time_zone):
            may_be_over = made_at is not None and rule.recurrence_type == "once"
            rule = rule_of(given, task, anchor, now=None if may_be_over else now)
    except recurrence.RuleError as error:
        for name, messages in error.errors.items():
            errors.setdefault(name, []).extend(messages)
        return None
    values["excluded_dates"] = [str(day) for day in given["excluded_dates"]]
    if len(names) < len(RECURRENCE_FIELDS):
        return None
    values["recurrence_config"] = rule.config
    return rule


def rule_of(
    values: dict[str, Any],
    task: ScheduledTask | None,
    anchor: datetime,
    *,
    now: datetime | None = None,
) -> recurrence.Rule:
    """The rule in a task's checked values, counted from `anchor` where it has no start.

    `now` is given for a rule that is new. Raises RuleError.
    """
    return recurrence.parse(
        values["recurrence_type"],
        values["recurrence_config"],
        values["time_zone"],
        anchor=values["start_at"] or anchor,
        start_at=values["start_at"],
        end_at=values["end_at"],
        excluded_dates=values["excluded_dates"],
        jitter_seconds=values["jitter_seconds"],
        jitter_key=str(task.pk) if task else "",
        now=now,
    )


def _check_owner(
    values: dict[str, Any], user: User, task: ScheduledTask | None, errors: Errors
) -> None:
    owner_id = values.pop("user_id", None)
    if owner_id is None or task is None or not user.is_superuser or owner_id == task.user_id:
        return
    if User.objects.filter(pk=owner_id, is_active=True).exists():
        values["user_id"] = owner_id
    else:
        errors["user_id"] = [_("There is no active user with this id.")]


def _check_dependencies(
    given: list[Any], user: User, task: ScheduledTask | None, errors: Errors
) -> list[dict[str, str]]:
    try:
        return dependencies.check(given, user, task)
    except ValueError as error:
        errors["depends_on"] = [str(error)]
        return []
