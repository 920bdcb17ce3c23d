from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _

from devices.agent import kinds
from scheduling import definitions
from scheduling.forms import options, payload, recurrence, values
from scheduling.forms.targets import chosen_ids
from scheduling.options import Retry, Rollout

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from scheduling.forms.payload import PayloadForm, Typed
    from scheduling.models import ScheduledTask

OPTION_GROUPS = ("rollout", "retry")


class BasicsForm(forms.Form):
    name = forms.CharField(
        required=False,
        label=_("Name"),
        widget=forms.TextInput(attrs={"maxlength": 200, "autocomplete": "off"}),
    )
    description = forms.CharField(
        required=False, label=_("Description"), widget=forms.Textarea(attrs={"rows": 2})
    )
    tags = forms.CharField(
        required=False, label=_("Tags"), help_text=_("Words separated by commas.")
    )


class TaskForm:
    """Every field of a task. `data` is what was typed: a POST, or what `filled` or `fresh` made."""

    def __init__(self, data: Typed, *, task: ScheduledTask | None = None) -> None:
        self.data = data
        self.task = task
        self.basics = BasicsForm(data)
        self.recurrence = recurrence.RecurrenceForm(data, task=task)
        self.options = options.OptionsForm(data)
        self.payloads = [payload.PayloadForm(kind, data) for kind in self._kinds()]
        self.target_errors: list[str] = []
        self.recurrence_errors: list[str] = []
        self.other_errors: list[str] = []

    @property
    def chosen_kind(self) -> str:
        if self.task is not None:
            return self.task.task_type
        return self.data.get("task_type") or self.payloads[0].kind.name

    def look_up(self, user: User) -> None:
        """Before it is shown: what this person may choose from."""
        for form in self.payloads:
            form.look_up(user)

    def definition(self) -> dict[str, Any]:
        """The raw data of a task, under the input names of api.md."""
        zone = str(self.data.get("time_zone", ""))
        return {
            "name": self.data.get("name", ""),
            "description": self.data.get("description", "").replace("\r\n", "\n"),
            "tags": values.words(self.data.get("tags", "")),
            "task_type": self.chosen_kind,
            "task_payload": self._payload_form().payload(),
            "device_ids": chosen_ids(self.data, "device"),
            "group_ids": chosen_ids(self.data, "group"),
            **self.recurrence.definition(),
            **self.options.definition(zone),
        }

    def recurrence_definition(self) -> dict[str, Any]:
        """Only what says when, as the preview takes it."""
        definition = self.definition()
        return {
            name: definition[name] for name in definitions.RECURRENCE_FIELDS if name in definition
        }

    def refuse(self, errors: Mapping[str, list[str]]) -> None:
        """Puts what a verb refused beside its fields."""
        for name, messages in errors.items():
            if name == "recurrence_config":
                self.recurrence_errors += messages
            elif name in ("device_ids", "group_ids"):
                self.target_errors += [m for m in messages if m not in self.target_errors]
            elif name == "task_payload":
                self._payload_form().refuse(messages)
            elif name in OPTION_GROUPS:
                self._refuse_options(messages)
            else:
                self._refuse_field(name, messages)

    @property
    def has_errors(self) -> bool:
        parts = (self.basics, self.recurrence, self.options)
        own = (self.target_errors, self.recurrence_errors, self.other_errors)
        inputs = [one.errors for form in self.payloads for one in form.inputs]
        return any([*(part.errors for part in parts), *own, *inputs, *self._payload_errors()])

    @property
    def opens_options(self) -> bool:
        return bool(self.options.errors)

    def _payload_errors(self) -> list[list[str]]:
        return [form.errors for form in self.payloads]

    def _kinds(self) -> list[kinds.Kind]:
        return [kinds.get(self.task.task_type)] if self.task is not None else kinds.every()

    def _payload_form(self) -> PayloadForm:
        chosen = (form for form in self.payloads if form.kind.name == self.chosen_kind)
        return next(chosen, self.payloads[0])

    def _refuse_options(self, messages: list[str]) -> None:
        """The messages begin with the name of the option they are about."""
        for message in messages:
            name, _blank, said = message.partition(" ")
            if name in self.options.fields:
                self.options.add_error(name, said)
            else:
                self.other_errors.append(message)

    def _refuse_field(self, name: str, messages: list[str]) -> None:
        for form in (self.basics, self.recurrence, self.options):
            if name in form.fields:
                for message in messages:
                    form.add_error(name, message)
                return
        self.other_errors += [f"{name}: {message}" for message in messages]


def fresh() -> Typed:
    """A form as it is before anybody typed: the defaults of every door."""
    definition = {name: make() for name, make in definitions.DEFAULTS.items()}
    definition |= {"rollout": Rollout.defaults(), "retry": Retry.defaults()}
    fields = {**recurrence.DEFAULTS, **options.typed(definition)}
    for kind in kinds.every():
        fields |= payload.typed(kind, None)
    return MultiValueDict(fields)


def choose(data: Typed, what: str, ids: list[str]) -> None:
    """Ticks files or software in the first kind that deploys them, and that kind."""
    for kind in kinds.every():
        for field in kind.form_fields():
            if field.widget == what:
                data.setlist(f"{kind.name}-{field.name}", ids)
                data["task_type"] = kind.name
                return


def filled(task: ScheduledTask) -> Typed:
    """The form as one would fill it in for this task."""
    definition = definitions.as_input(task)
    fields = {
        "name": [task.name],
        "description": [task.description],
        "tags": [", ".join(task.tags)],
        "task_type": [task.task_type],
        "device_ids": list(task.device_ids),
        "group_ids": list(task.group_ids),
        **recurrence.typed(definition),
        **options.typed(definition),
        **payload.typed(kinds.get(task.task_type), task.task_payload),
    }
    return MultiValueDict(fields)
