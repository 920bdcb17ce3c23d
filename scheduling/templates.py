"""Verbs on templates: some of a task's fields, kept to begin new tasks from.

Input is a mapping of the API's Template: `name`, `description`, `task_type`, `shared`, and any of a
task's input fields but those that name its owner and what it waits for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog
from django.db import transaction
from django.utils.translation import gettext as _

from accounts import fields
from accounts.errors import InvalidInput, NotAllowed
from accounts.rights import is_administrator
from scheduling import clock, definitions, live
from scheduling.models import TaskTemplate

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from scheduling.models import ScheduledTask

log = structlog.get_logger(__name__)
OWN: dict[str, fields.Check] = {
    **{name: definitions.CHECKS[name] for name in ("name", "description", "task_type")},
    "shared": fields.flag,
}
OF_A_TASK = frozenset(definitions.CHECKS) - OWN.keys() - {"user_id", "depends_on"}
WHERE = ("device_ids", "group_ids")
WHEN = definitions.PLAN_FIELDS
Input = dict[str, Any]


@transaction.atomic
def create(user: User, data: Mapping[str, Any]) -> TaskTemplate:
    """Raises InvalidInput."""
    template = TaskTemplate(user=user)
    _write(template, user, data, _UNSET)
    log.info("template_created", template=str(template.pk), user=user.pk)
    return template


@transaction.atomic
def update(
    template: TaskTemplate, user: User, data: Mapping[str, Any], *, partial: bool
) -> TaskTemplate:
    """What is left out keeps its value (`partial`) or is no part of it any more. Raises NotAllowed,
    InvalidInput."""
    _require_own(template, user)
    template = TaskTemplate.objects.select_for_update(no_key=True).get(pk=template.pk)
    _write(template, user, data, as_input(template) if partial else _UNSET)
    log.info("template_changed", template=str(template.pk), user=user.pk)
    return template


@transaction.atomic
def delete(template: TaskTemplate, user: User) -> None:
    """Raises NotAllowed. Tasks made from it stay as they are."""
    _require_own(template, user)
    log.info("template_deleted", template=str(template.pk), user=user.pk)
    live.changed("template", [template.pk], known_to=_people_of(template))
    template.delete()


def may_change(template: TaskTemplate, user: User) -> bool:
    return template.user_id == user.pk or is_administrator(user)


def as_input(template: TaskTemplate) -> Input:
    """The template in the form the verbs take."""
    return {**{name: getattr(template, name) for name in OWN}, **template.definition}


def of_task(task: ScheduledTask, *, leave_out: Collection[str] = ()) -> Input:
    """The input of a template that has all of a task, but for the fields named."""
    given = definitions.as_input(task)
    return {
        name: given[name]
        for name in ("task_type", *sorted(OF_A_TASK))
        if name not in leave_out and given[name] not in (None, [], "")
    }


def _people_of(template: TaskTemplate) -> list[int]:
    return [live.EVERYBODY] if template.shared else [template.user_id]


def _require_own(template: TaskTemplate, user: User) -> None:
    if not may_change(template, user):
        raise NotAllowed(_("Only its owner or an administrator may change this template."))


def _write(
    template: TaskTemplate, user: User, given: Mapping[str, Any], before: Mapping[str, Any]
) -> None:
    data = {**before, **given}
    errors: fields.Errors = {}
    # A kind that this server has lost stays named: the template can still be renamed, or shared.
    named = [one for one in OWN if one != "task_type" or data.get(one) != before.get(one)]
    own = fields.checked(OWN, {name: data[name] for name in named if name in data}, errors)
    for name in ("name", "task_type"):
        if name not in data:
            errors[name] = [_("This field is required.")]
    for name in data.keys() - OWN.keys() - OF_A_TASK - definitions.payload_fields().keys():
        errors[str(name)[:100]] = [_("This field is not known.")]
    if errors:
        raise InvalidInput(errors)
    template.definition = _definition(template, user, given, before)
    known_to = _people_of(template)
    for name, value in own.items():
        setattr(template, name, value)
    template.save()
    live.changed("template", [template.pk], known_to=known_to)


def _definition(
    template: TaskTemplate, user: User, given: Mapping[str, Any], before: Mapping[str, Any]
) -> Input:
    """Checked where anything of it is new: what a template names may be gone since."""
    given, before = (
        {name: value for name, value in one.items() if name not in OWN or name == "task_type"}
        for one in (given, before)
    )
    now_is = {"task_type": template.task_type, **template.definition}
    if not template._state.adding and {**before, **given} == now_is:
        kept: Input = template.definition
        return kept
    task_type = {**before, **given}["task_type"]
    values = definitions.check_some(
        {**given, "task_type": task_type}, user=user, now=clock.now(), before=before
    )
    return {name: _stored(value) for name, value in values.items() if name != "task_type"}


def _stored(value: Any) -> Any:
    """As the API answers it."""
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


_UNSET = {"description": "", "shared": False}
