from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _

from accounts import line_ends
from devices.agent import kinds
from scheduling import definitions, lost_kinds
from scheduling.forms import options, parents, payload, picking, recurrence, values
from scheduling.forms.targets import chosen_ids
from scheduling.options import Retry, Rollout

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from accounts.meanwhile import Known
    from scheduling.catalogue.uses import Uses
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
    tags = forms.CharField(required=False, label=_("Tags"), help_text=values.WORDS_HELP)


@dataclass(frozen=True, slots=True)
class Original:
    """What a form was filled in with, for what a browser does not bring back of it."""

    task_type: str
    payload: Mapping[str, Any] | None
    description: str

    @classmethod
    def of(cls, task: ScheduledTask) -> Original:
        return cls(task.task_type, task.task_payload, task.description)


class TaskForm:
    """Every field of a task. `data` is what was typed: a POST, or what `filled` or `fresh` made.
    Of a `kind` or a `task` it has the fields of that one kind alone."""

    def __init__(
        self,
        data: Typed,
        *,
        task: ScheduledTask | None = None,
        kind: kinds.Kind | None = None,
        original: Original | None = None,
    ) -> None:
        self.data = data
        self.task = task
        self._original = Original.of(task) if task is not None else original
        self.only_kind = kinds.get(task.task_type) if task is not None else kind
        self.basics = BasicsForm(data)
        self.recurrence = recurrence.RecurrenceForm(data)
        self.options = options.OptionsForm(data)
        self.payloads = [self._payload_of(kind) for kind in self._kinds()]
        self.parents: picking.Picker | None = None
        self.parent_errors: list[str] = []
        self.target_errors: list[str] = []
        self.other_errors: list[str] = []
        self.known: Known | None = None
        self.lost_kind = ""
        """Why nothing is filled in of what to run, though the form began with something."""

    @property
    def chosen_kind(self) -> str:
        if self.only_kind is not None:
            return self.only_kind.name
        return self.data.get("task_type") or kinds.every()[0].name

    def look_up(self, user: User) -> None:
        """Before it is shown: what this person may choose from."""
        for form in self.payloads:
            form.look_up(user)
        self.parents = picking.picker("tasks", parents.NAME, self.data, user)

    def left_without(self, user: User) -> Uses:
        """The software that needs what this takes off the devices."""
        return self._payload_form().left_without(user)

    def definition(self) -> dict[str, Any]:
        """The raw data of a task, under the input names of api.md."""
        zone = str(self.data.get("time_zone", ""))
        return {
            "name": self.data.get("name", ""),
            "description": self._description(),
            "tags": values.words(self.data.get("tags", "")),
            "task_type": self.chosen_kind,
            "task_payload": self._payload_form().payload(),
            "device_ids": chosen_ids(self.data, "device"),
            "group_ids": chosen_ids(self.data, "group"),
            "depends_on": parents.definition(self.data),
            **self.recurrence.definition(),
            **self.options.definition(zone),
        }

    def run_definition(self) -> dict[str, Any]:
        """The same for a run at once, which is called by what it does where it was given no name."""
        definition = self.definition()
        return {**definition, "name": definition["name"].strip() or self._payload_form().summary()}

    def recurrence_definition(self) -> dict[str, Any]:
        """Only what says when, as the preview takes it."""
        definition = self.definition()
        return {
            name: definition[name] for name in definitions.RECURRENCE_FIELDS if name in definition
        }

    @property
    def runs_left(self) -> int | None:
        """How many more runs there can be by the bound that was typed; None where there is none."""
        most = values.number(self.data.get("max_runs", ""))
        done = self.task.scheduled_run_count if self.task is not None else 0
        return max(most - done, 0) if isinstance(most, int) else None

    def refuse(self, errors: Mapping[str, list[str]]) -> None:
        """Puts what a verb refused beside its fields."""
        for name in self.recurrence.refuse(errors):
            messages = errors[name]
            if name in ("device_ids", "group_ids"):
                self.target_errors += [m for m in messages if m not in self.target_errors]
            elif name == "task_payload":
                self._payload_form().refuse(messages)
            elif name == "depends_on":
                self.parent_errors += messages
            elif name in OPTION_GROUPS:
                self._refuse_options(messages)
            else:
                self._refuse_field(name, messages)

    @property
    def has_errors(self) -> bool:
        return self._has_wrong_deployment() or self._has_wrong_schedule()

    @property
    def opens_schedule(self) -> bool:
        """Whether what is wrong is to be put right where it says when, and not what or where."""
        return self._has_wrong_schedule() and not self._has_wrong_deployment()

    @property
    def opens_options(self) -> bool:
        return bool(self.options.errors)

    def _has_wrong_deployment(self) -> bool:
        return bool(self.target_errors) or any(form.has_errors for form in self.payloads)

    def _has_wrong_schedule(self) -> bool:
        errors = (self.basics.errors, self.options.errors, self.parent_errors, self.other_errors)
        return self.recurrence.has_errors or any(errors)

    def _description(self) -> str:
        before = self._original.description if self._original else ""
        return line_ends.meant(self.data.get("description", ""), before)

    def _kinds(self) -> list[kinds.Kind]:
        return [self.only_kind] if self.only_kind is not None else kinds.every()

    def _payload_of(self, kind: kinds.Kind) -> PayloadForm:
        """A kind that the form did not ask for is as it is at first."""
        is_asked = kind.name == self.chosen_kind
        if is_asked or any(name.startswith(f"{kind.name}-") for name in self.data):
            original = self._original
            stored = original.payload if original and original.task_type == kind.name else None
            return payload.PayloadForm(kind, self.data, stored)
        return payload.PayloadForm(kind, MultiValueDict(payload.typed(kind, None)))

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
        for form in (self.basics, self.options):
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
        "tags": [values.as_words(task.tags)],
        "task_type": [task.task_type],
        "device_ids": list(task.device_ids),
        "group_ids": list(task.group_ids),
        **parents.typed(definition["depends_on"]),
        **recurrence.typed(definition),
        **options.typed(definition),
    }
    kind = lost_kinds.find(task.task_type)
    return MultiValueDict(fields | (payload.typed(kind, task.task_payload) if kind else {}))


def without_kind(data: Typed) -> Typed:
    """As it is filled in, but for what to run: that is as it is at first."""
    fields = {name: texts for name, texts in data.lists() if name != "task_type"}
    for kind in kinds.every():
        fields |= payload.typed(kind, None)
    return MultiValueDict(fields)
