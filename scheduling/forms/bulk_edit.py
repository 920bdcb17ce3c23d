"""What can be changed of many tasks at once. Whatever is left empty stays as it is in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.pages import identifier
from accounts.rights import is_administrator
from devices.models import DeviceGroup
from scheduling import definitions, targets
from scheduling.forms import values
from scheduling.forms.options import TIME_UNITS
from scheduling.models import ScheduledTask
from scheduling.options import OptionsError, Retry, Rollout

if TYPE_CHECKING:
    from django.http import QueryDict

MOST_GROUPS = 50
AS_IT_IS = ("", gettext_lazy("Leave as it is"))
POLICIES = ("offline_policy", "overlap_policy", "misfire_policy")
LENGTHS = ("timeout_seconds", "expires_after_seconds", "misfire_grace_seconds")
NOTHING = gettext_lazy("Choose at least one thing to change.")


def _policy(label: Any, words: type[Any]) -> forms.ChoiceField:
    return forms.ChoiceField(required=False, label=label, choices=[AS_IT_IS, *words.choices])


def _amount(label: Any, help_text: Any = "") -> forms.CharField:
    widget = forms.NumberInput(attrs={"min": 1})
    return forms.CharField(required=False, label=label, help_text=help_text, widget=widget)


def _unit() -> forms.ChoiceField:
    return forms.ChoiceField(
        required=False, label=gettext_lazy("Unit"), choices=TIME_UNITS, initial="minutes"
    )


def _words(label: Any) -> forms.CharField:
    return forms.CharField(required=False, label=label, help_text=values.WORDS_HELP)


class BulkEditForm(forms.Form):
    add_tags = _words(gettext_lazy("Add tags"))
    remove_tags = _words(gettext_lazy("Take away tags"))
    offline_policy = _policy(gettext_lazy("If a device is offline"), ScheduledTask.OfflinePolicy)
    overlap_policy = _policy(
        gettext_lazy("If the last run is still under way"), ScheduledTask.OverlapPolicy
    )
    misfire_policy = _policy(gettext_lazy("If runs were missed"), ScheduledTask.MisfirePolicy)
    timeout_seconds = _amount(gettext_lazy("Stop a run after"))
    timeout_seconds_unit = _unit()
    expires_after_seconds = _amount(gettext_lazy("Wait for an offline device at most"))
    expires_after_seconds_unit = _unit()
    misfire_grace_seconds = _amount(gettext_lazy("Late by this much is not missed"))
    misfire_grace_seconds_unit = _unit()
    max_concurrent = _amount(gettext_lazy("Devices at the same time"))
    max_attempts = _amount(gettext_lazy("Attempts on each device"))
    add_groups = forms.ModelMultipleChoiceField(
        DeviceGroup.objects.none(),
        required=False,
        label=gettext_lazy("Run on these groups too"),
        widget=forms.CheckboxSelectMultiple,
    )
    remove_groups = forms.ModelMultipleChoiceField(
        DeviceGroup.objects.none(),
        required=False,
        label=gettext_lazy("Run no longer on these groups"),
        widget=forms.CheckboxSelectMultiple,
    )
    owner = forms.CharField(
        required=False,
        label=gettext_lazy("Hand over to"),
        help_text=gettext_lazy("The name of an account; the tasks run with its rights then."),
    )

    def __init__(
        self, data: QueryDict | None, *, user: User, tasks: Sequence[ScheduledTask]
    ) -> None:
        super().__init__(data)
        visible = DeviceGroup.objects.visible_to(user).order_by("name", "pk")
        self.group_search = data.get("group_search", "").strip() if data is not None else ""
        self._offer("add_groups", visible, Q(name__icontains=self.group_search))
        used = {one for task in tasks for one in task.group_ids}
        self._offer("remove_groups", visible, Q(pk__in=used))
        if not is_administrator(user):
            del self.fields["owner"]

    def lengths(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        """Each length of time with its unit."""
        return [(self[name], self[f"{name}_unit"]) for name in LENGTHS]

    def clean(self) -> dict[str, Any]:
        """Leaves what is to be set alike in each task in `plain`."""
        given: dict[str, Any] = super().clean() or {}
        self.plain = {name: given[name] for name in POLICIES if given.get(name)}
        for name in LENGTHS:
            self._check(name, values.seconds(given.get(name, ""), given.get(f"{name}_unit", "")))
        self._check_option("max_concurrent", Rollout)
        self._check_option("max_attempts", Retry)
        chosen = [name for name in self.fields if not name.endswith("_unit") and given.get(name)]
        if not chosen and not self.errors:
            raise forms.ValidationError(str(NOTHING))
        return given

    def clean_owner(self) -> User | None:
        name = self.cleaned_data["owner"].strip()
        if not name:
            return None
        found = User.objects.filter(username=name, is_active=True).first()
        if found is None:
            raise forms.ValidationError(_("There is no active account of this name."))
        return found

    def changes(self, task: ScheduledTask) -> dict[str, Any]:
        """The input that makes this task what was asked for; raises nothing."""
        given = self.cleaned_data
        changed = dict(self.plain)
        if given["add_tags"] or given["remove_tags"]:
            gone = values.words(given["remove_tags"])
            changed["tags"] = _merged(task.tags, values.words(given["add_tags"]), gone)
        if given["add_groups"] or given["remove_groups"]:
            gone = [str(one.pk) for one in given["remove_groups"]]
            more = [str(one.pk) for one in given["add_groups"]]
            changed["group_ids"] = _merged(task.group_ids, more, gone)
        for name, group in (("max_concurrent", "rollout"), ("max_attempts", "retry")):
            if given[name]:
                changed[group] = {**getattr(task, group), name: int(given[name])}
        if given.get("owner"):
            changed["user_id"] = given["owner"].pk
        return changed

    def reach(self, tasks: Sequence[ScheduledTask]) -> targets.Reach:
        """Whom the tasks would target together."""
        groups = [self.changes(task).get("group_ids", task.group_ids) for task in tasks]
        devices = {one for task in tasks for one in task.device_ids}
        return targets.reach(devices, {one for ids in groups for one in ids})

    def _offer(self, name: str, visible: QuerySet[DeviceGroup], wanted: Q) -> None:
        """As many as a page can show; one that is ticked stays."""
        ticked = self.data.getlist(name) if isinstance(self.data, MultiValueDict) else []
        shown = list(visible.filter(wanted).values_list("pk", flat=True)[:MOST_GROUPS])
        kept = [pk for one in ticked if (pk := identifier(one))]
        field = self.fields[name]
        assert isinstance(field, forms.ModelMultipleChoiceField)
        field.queryset = visible.filter(pk__in=[*shown, *kept])

    def _check(self, name: str, value: Any) -> None:
        if value is None:
            return
        try:
            self.plain[name] = definitions.CHECKS[name](value)
        except ValueError as error:
            self.add_error(name, str(error))

    def _check_option(self, name: str, options: type[Rollout] | type[Retry]) -> None:
        value = values.number(self.cleaned_data.get(name, ""))
        if value is None:
            return
        try:
            options.parse({name: value})
        except OptionsError as error:
            for message in error.messages:
                self.add_error(name, message.partition(" ")[2])


def _merged(before: Sequence[str], more: Sequence[str], gone: Sequence[str]) -> list[str]:
    return [one for one in dict.fromkeys([*before, *more]) if one not in gone]
