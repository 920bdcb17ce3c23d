"""Tasks as typed into the admin, checked by the same `definitions` as everywhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.forms.fields import InvalidJSONInput

from accounts.administration import refuse
from accounts.errors import InvalidInput, NotAllowed
from scheduling import clock, definitions, dependencies
from scheduling.models import ScheduledTask, TaskDependency

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    TaskModelForm = forms.ModelForm[ScheduledTask]
    DependencyFormSet = forms.BaseInlineFormSet[
        TaskDependency, ScheduledTask, forms.ModelForm[TaskDependency]
    ]
else:
    TaskModelForm = forms.ModelForm
    DependencyFormSet = forms.BaseInlineFormSet


class ReadableJSONField(forms.JSONField):
    """Lays the JSON out to be read and changed by people."""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, InvalidJSONInput):
            return value
        return json.dumps(value, indent=2, ensure_ascii=False)


class TaskForm(TaskModelForm):
    """`person` is set by the admin, for each request. What the verbs would refuse is refused here."""

    person: ClassVar[User]

    class Meta:
        model = ScheduledTask
        fields = "__all__"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in definitions.DEFAULTS.keys() & self.fields.keys():
            self.fields[name].required = False

    def definition(self) -> dict[str, Any]:
        """The form's fields as a task's input; one left empty has its default."""
        given = {"user_id" if name == "user" else name: value for name, value in self._cleaned()}
        return {
            name: definitions.DEFAULTS[name]() if value is None else value
            for name, value in given.items()
            if value is not None or name in definitions.DEFAULTS
        }

    def clean(self) -> None:
        super().clean()
        task = None if self.instance._state.adding else self.instance
        try:
            definitions.check(
                self.definition(),
                user=self.person,
                now=clock.now(),
                task=task,
                partial=task is not None,
            )
        except (InvalidInput, NotAllowed) as refusal:
            refuse(self, refusal)

    def _cleaned(self) -> list[tuple[str, Any]]:
        cleaned = self.cleaned_data.items()
        return [(name, value.pk if name == "user" else value) for name, value in cleaned]


class DependenciesForm(DependencyFormSet):
    """The parents of a task; `person` as in TaskForm."""

    person: ClassVar[User]

    def definition(self) -> list[dict[str, str]]:
        """As a task's input takes them."""
        kept = [
            form.cleaned_data
            for form in self.forms
            if form.cleaned_data.get("parent") and not form.cleaned_data.get("DELETE")
        ]
        return [{"task_id": str(one["parent"].pk), "on": one["on"]} for one in kept]

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        task = None if self.instance._state.adding else self.instance
        try:
            dependencies.check(self.definition(), self.person, task)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
