"""What one asks a calendar for: all of it stands in the address."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.errors import InvalidInput
from scheduling import zones
from scheduling.calendar import MOST_YEARS_AHEAD
from scheduling.sheets import Sheet, View, starts_of

FIRST_YEAR = 2000


class CalendarForm(forms.Form):
    """`date` is a day, or with a time of day and an offset an instant; today where it is left out.

    What is wrong is said beside its field, and the page shows what it would without it.
    """

    view = forms.ChoiceField(choices=View.choices, required=False, widget=forms.HiddenInput)
    date = forms.CharField(
        label=gettext_lazy("Day"), required=False, widget=forms.TextInput(attrs={"type": "date"})
    )
    zone = forms.CharField(
        label=gettext_lazy("Time zone"),
        required=False,
        widget=forms.TextInput(attrs={"list": "zones", "autocomplete": "off"}),
    )
    search = forms.CharField(
        label=gettext_lazy("Task’s name"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search"}),
    )

    def __init__(self, asked: Mapping[str, str], *, now: datetime) -> None:
        super().__init__({name: asked.get(name, "") for name in self.base_fields})
        self._now = now
        self.full_clean()
        self.sheet = self._sheet()
        shown = {"view": str(View.DAY if self.sheet.view == View.HOUR else self.sheet.view)}
        if "zone" not in self.errors:
            shown["zone"] = self.sheet.zone.key
        if "date" not in self.errors:
            shown["date"] = self.sheet.day.isoformat()
        self.data = {**self.data, **shown}

    @property
    def searched(self) -> str:
        return str(self.cleaned_data.get("search", ""))

    def clean_zone(self) -> ZoneInfo:
        name = self.cleaned_data["zone"] or settings.TIME_ZONE
        if name not in zones.names():
            raise forms.ValidationError(_("There is no such time zone."))
        return ZoneInfo(name)

    def clean_date(self) -> datetime | None:
        """Without an offset, a time in the zone, which is only known when all fields are."""
        typed = self.cleaned_data["date"]
        if not typed:
            return None
        try:
            moment = datetime.fromisoformat(typed)
        except ValueError:
            raise forms.ValidationError(_("must be a day, as 2027-01-31.")) from None
        last = self._now.year + MOST_YEARS_AHEAD
        if not FIRST_YEAR <= moment.year <= last:
            said = _("must lie between the years %(first)s and %(last)s.")
            raise forms.ValidationError(said % {"first": FIRST_YEAR, "last": last})
        return moment

    def refuse(self, refusal: InvalidInput) -> None:
        """Of the calendar's own words for the stretch of time."""
        for messages in refusal.errors.values():
            for message in messages:
                self.add_error("date", message)

    def _sheet(self) -> Sheet:
        zone = self.cleaned_data.get("zone") or ZoneInfo(settings.TIME_ZONE)
        moment = self.cleaned_data.get("date") or self._now
        if moment.tzinfo is None:
            moment = starts_of(moment.date(), zone)
        view = View(self.cleaned_data.get("view") or View.MONTH)
        return Sheet(view, moment.astimezone(zone), self._now)
