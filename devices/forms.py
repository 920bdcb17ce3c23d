"""What people type about groups, devices and enrolment tokens. The verbs judge it; `refuse` puts
what they say beside its field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts import line_ends
from accounts.errors import InvalidInput
from accounts.pages import identifier
from devices.models import DeviceGroup

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User

    from devices.models.group import DeviceGroupQuerySet

MOST_OFFERED = 100
MORE_GROUPS = _("There are more groups: begin on the page of one.")


@dataclass(frozen=True, slots=True)
class Offer:
    """What a box to choose a group from holds: the first by name, and the chosen one in any case."""

    groups: list[DeviceGroup]
    is_part: bool


def offered(groups: DeviceGroupQuerySet, chosen: UUID | None) -> Offer:
    found = list(groups.order_by("name")[: MOST_OFFERED + 1])
    first, is_part = found[:MOST_OFFERED], len(found) > MOST_OFFERED
    if chosen is None or any(one.pk == chosen for one in first):
        return Offer(first, is_part)
    return Offer([*groups.filter(pk=chosen), *first], is_part)


class AskingForm(forms.Form):
    """A form whose fields a verb checks; texts of several lines keep the line ends they began with."""

    def clean(self) -> dict[str, Any]:
        for name, field in self.fields.items():
            if isinstance(field.widget, forms.Textarea) and name in self.cleaned_data:
                began = str(self.initial.get(name) or "")
                self.cleaned_data[name] = line_ends.meant(self.cleaned_data[name], began)
        return self.cleaned_data

    def label(self, name: str) -> object:
        """What people call a field."""
        return self.fields[name].label if name in self.fields else name

    def refuse(self, refusal: InvalidInput) -> None:
        for name, messages in refusal.errors.items():
            for message in messages:
                self.add_error(name if name in self.fields else None, message)


class GroupForm(AskingForm):
    name = forms.CharField(
        label=_("Name"),
        required=False,
        widget=forms.TextInput(attrs={"maxlength": 100, "autocomplete": "off"}),
    )
    description = forms.CharField(
        label=_("Description"), required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    query = forms.CharField(
        label=_("Query"),
        required=False,
        help_text=_(
            "Such as: os = linux and tag.site = berlin. The devices it finds are the group. Left empty,"
            " you put devices in yourself."
        ),
        widget=forms.Textarea(attrs={"rows": 2, "class": "code", "spellcheck": "false"}),
    )

    def given(self) -> dict[str, Any]:
        """The input of the verbs: whether there is a query makes the kind."""
        query = self.cleaned_data["query"].strip()
        plain = {name: self.cleaned_data[name] for name in ("name", "description")}
        if not query:
            return {**plain, "kind": "static", "query": None}
        return {**plain, "kind": "dynamic", "query": query, "device_ids": []}


class DeviceForm(AskingForm):
    name = forms.CharField(
        label=_("Name"), required=False, widget=forms.TextInput(attrs={"maxlength": 200})
    )
    tags = forms.CharField(
        label=_("Tags"),
        required=False,
        help_text=_("One a line, such as site=Hamburg."),
        widget=forms.Textarea(attrs={"rows": 4, "class": "code", "spellcheck": "false"}),
    )

    def tags_given(self) -> dict[str, str]:
        """Tags by name; a line without an equals sign is a name with an empty text."""
        lines = [line.strip() for line in self.cleaned_data["tags"].splitlines() if line.strip()]
        pairs = (line.partition("=") for line in lines)
        return {name.strip(): text.strip() for name, _equals, text in pairs}


def typed_tags(tags: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}={text}" if text else name for name, text in tags.items())


class EnrollmentForm(AskingForm):
    name = forms.CharField(
        label=_("What it is for"),
        required=False,
        widget=forms.TextInput(attrs={"maxlength": 100, "autocomplete": "off"}),
    )
    group = forms.ModelChoiceField(
        DeviceGroup.objects.none(),
        label=_("Put into the group"),
        required=False,
        empty_label=_("none"),
    )
    uses_limit = forms.IntegerField(
        label=_("Good for so many machines"),
        initial=1,
        widget=forms.NumberInput(attrs={"min": 1}),
    )
    expires_at = forms.CharField(
        label=_("Ends"), initial="24h", help_text=_("Such as 24h, 30d or 2027-01-31.")
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        groups: Any = self.fields["group"]
        groups.queryset = DeviceGroup.objects.visible_to(user)
        given = self.data if self.is_bound else self.initial
        offer = offered(groups.queryset, identifier(str(given.get("group") or "")))
        names = ((one.pk, one.name) for one in offer.groups)
        groups.widget.choices = [("", groups.empty_label), *names]
        if offer.is_part:
            groups.help_text = MORE_GROUPS
