"""Templates as forms: their own few fields, and the task form that one is the beginning of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _

from accounts import fields as checks
from devices.agent import kinds
from devices.forms import AskingForm
from scheduling import definitions
from scheduling.forms import options, payload, recurrence, values
from scheduling.forms.task import BasicsForm, Original
from scheduling.options import Retry, Rollout

if TYPE_CHECKING:
    from scheduling.forms.payload import Typed
    from scheduling.models import TaskTemplate


class TemplateForm(AskingForm):
    name = BasicsForm.base_fields["name"]
    description = BasicsForm.base_fields["description"]
    shared = forms.BooleanField(
        required=False,
        label=_("Everybody who signs in may use it"),
        help_text=_("They see all of it then: its commands, and the values it passes on."),
    )


class NewTemplateForm(TemplateForm):
    """What of a task goes into it."""

    with_targets = forms.BooleanField(
        required=False, label=_("With its devices and groups"), initial=True
    )
    with_schedule = forms.BooleanField(required=False, label=_("With its schedule"), initial=True)


def original(template: TaskTemplate) -> Original:
    payload = template.definition.get("task_payload")
    return Original(template.task_type, payload, template.description)


def typed(template: TaskTemplate) -> Typed:
    """The task form as one would begin to fill it in with this template."""
    given: dict[str, Any] = {name: make() for name, make in definitions.DEFAULTS.items()}
    given |= {"rollout": Rollout.defaults(), "retry": Retry.defaults()} | template.definition
    for name in ("start_at", "end_at"):
        given[name] = checks.instant(given[name])
    when = recurrence.typed(given) if "recurrence_config" in given else recurrence.DEFAULTS
    found: dict[str, list[str]] = {
        "name": [template.name],
        "description": [template.description],
        "tags": [values.as_words(given["tags"])],
        "task_type": [template.task_type],
        "device_ids": list(given["device_ids"]),
        "group_ids": list(given["group_ids"]),
        **when,
        **options.typed(given),
    }
    for kind in kinds.every():
        its = given.get("task_payload") if kind.name == template.task_type else None
        found |= payload.typed(kind, its)
    return MultiValueDict(found)
