"""When a task runs, as form fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from scheduling.forms import values
from scheduling.models import ScheduledTask

if TYPE_CHECKING:
    from scheduling.forms.payload import Typed

UNITS = (
    ("seconds", _("seconds")),
    ("minutes", _("minutes")),
    ("hours", _("hours")),
    ("days", _("days")),
    ("weeks", _("weeks")),
)
WEEKDAYS = (
    ("0", _("Monday")),
    ("1", _("Tuesday")),
    ("2", _("Wednesday")),
    ("3", _("Thursday")),
    ("4", _("Friday")),
    ("5", _("Saturday")),
    ("6", _("Sunday")),
)
NTH = (
    ("1", _("first")),
    ("2", _("second")),
    ("3", _("third")),
    ("4", _("fourth")),
    ("-1", _("last")),
)
DAYS = (*((str(day), str(day)) for day in range(1, 32)), ("-1", _("last")))
MISSING_DAY = (("skip", _("skip that month")), ("last", _("take its last day")))
CRON_EXAMPLES = (
    ("*/15 8-18 * * 1-5", _("every quarter of an hour in office hours")),
    ("0 6,18 * * *", _("twice a day")),
    ("30 3 * * sun", _("Sundays at half past three")),
    ("0 4 L * *", _("on the last day of the month")),
    ("@hourly", _("every hour")),
)
# What to say where nothing was typed yet.
ASKS = {
    "days_of_week": _("Choose at least one weekday."),
    "run_at": _("Choose a date and time."),
    "cron_expression": _("Write a cron expression, or choose an example."),
}
DEFAULTS: dict[str, list[str]] = {
    "recurrence_type": ["daily"],
    "time_zone": ["UTC"],
    "every": ["1"],
    "unit": ["hours"],
    "time": ["02:00"],
    "monthly_by": ["day"],
    "day_of_month": ["1"],
    "nth": ["1"],
    "weekday": ["0"],
    "missing_day": ["skip"],
}


def _choice(label: Any, choices: Any) -> forms.CharField:
    """Stands in a sentence, which is no label to those who do not see it."""
    widget = forms.Select(choices=choices, attrs={"aria-label": label})
    return forms.CharField(required=False, label=label, widget=widget)


class RecurrenceForm(forms.Form):
    recurrence_type = forms.CharField(required=False)
    run_at = forms.CharField(
        required=False,
        label=_("Date and time"),
        widget=forms.TextInput(attrs={"type": "datetime-local"}),
    )
    run_at_exact = forms.CharField(required=False, widget=forms.HiddenInput)
    by_hand = forms.BooleanField(
        required=False, label=_("No time of its own: by hand or after other tasks")
    )
    every = forms.CharField(
        required=False,
        label=_("Every"),
        widget=forms.NumberInput(attrs={"min": 1}),
    )
    unit = _choice(_("Unit"), UNITS)
    days_of_week = forms.CharField(required=False)
    time = forms.CharField(
        required=False, label=_("Time"), widget=forms.TextInput(attrs={"type": "time"})
    )
    monthly_by = forms.CharField(required=False)
    day_of_month = _choice(_("Day of the month"), DAYS)
    missing_day = _choice(_("Where a month has no such day"), MISSING_DAY)
    nth = _choice(_("Which of the weekdays"), NTH)
    weekday = _choice(_("Weekday"), WEEKDAYS)
    cron_expression = forms.CharField(
        required=False,
        label=_("Cron expression"),
        widget=forms.TextInput(attrs={"class": "code", "spellcheck": "false"}),
    )
    time_zone = forms.CharField(
        required=False,
        label=_("Time zone"),
        widget=forms.TextInput(attrs={"list": "zones", "spellcheck": "false"}),
    )

    types: ClassVar = ScheduledTask.RecurrenceType.choices
    weekdays: ClassVar = WEEKDAYS
    cron_examples: ClassVar = CRON_EXAMPLES

    def __init__(self, data: Typed) -> None:
        super().__init__(data)
        self.other_errors: list[str] = []

    @property
    def chosen_type(self) -> str:
        return self._typed("recurrence_type")

    @property
    def chosen_days(self) -> list[str]:
        return list(self.data.getlist("days_of_week"))  # type: ignore[attr-defined]

    @property
    def has_errors(self) -> bool:
        return bool(self.errors or self.other_errors)

    def refuse(self, errors: Mapping[str, list[str]]) -> list[str]:
        """Puts what a verb refused beside its fields; answers the names it has no field for."""
        for name, messages in errors.items():
            if name == "recurrence_config":
                self._refuse_config(messages)
            elif name in self.fields:
                for message in messages:
                    self.add_error(name, message)
        return [one for one in errors if one != "recurrence_config" and one not in self.fields]

    def _refuse_config(self, messages: list[str]) -> None:
        """The messages begin with the name of the member they are about."""
        for message in messages:
            name, _colon, said = message.partition(": ")
            if said and name in self.fields:
                self.add_error(name, self._asks(name) or said)
            else:
                self.other_errors.append(message)

    def sentences(self, errors: Mapping[str, list[str]]) -> list[str]:
        """The same for a place beside no field: each says which it is about."""
        given = list(errors.get("recurrence_config", []))
        given += [f"{one}: {said}" for one in errors if one in self.fields for said in errors[one]]
        others = [
            name for name in errors if name not in self.fields and name != "recurrence_config"
        ]
        return [self._sentence(one) for one in given] + [s for one in others for s in errors[one]]

    def _sentence(self, message: str) -> str:
        name, _colon, said = message.partition(": ")
        if not said or name not in self.fields:
            return message
        return self._asks(name) or f"{self[name].label}: {said}"

    def _asks(self, name: str) -> str:
        return str(ASKS[name]) if name in ASKS and not self._typed(name) else ""

    @property
    def monthly_by_weekday(self) -> bool:
        return self._typed("monthly_by") == "weekday"

    def definition(self) -> dict[str, Any]:
        """recurrence_type, recurrence_config and time_zone, as api.md has them."""
        shapes = {
            "once": self._once,
            "interval": self._interval,
            "daily": self._daily,
            "weekly": self._weekly,
            "monthly": self._monthly,
            "custom": self._custom,
        }
        shape = shapes.get(self.chosen_type)
        return {
            "recurrence_type": self.chosen_type,
            "recurrence_config": shape() if shape else {},
            "time_zone": self._typed("time_zone"),
        }

    def _typed(self, name: str) -> str:
        return str(self.data.get(name, "")).strip()

    def _once(self) -> dict[str, Any]:
        if self._typed("by_hand"):
            return {"run_at": None}
        typed = self._typed("run_at")
        kept = values.kept(self._typed("run_at_exact"), typed, self._typed("time_zone"))
        return {"run_at": kept or typed}

    def _interval(self) -> dict[str, Any]:
        return {"every": values.number(self._typed("every")), "unit": self._typed("unit")}

    def _daily(self) -> dict[str, Any]:
        return {"time": self._typed("time"), **self._every()}

    def _weekly(self) -> dict[str, Any]:
        days = [values.number(day) for day in self.chosen_days]
        return {"time": self._typed("time"), "days_of_week": days, **self._every()}

    def _monthly(self) -> dict[str, Any]:
        config = {"time": self._typed("time"), **self._every()}
        if self.monthly_by_weekday:
            nth, weekday = self._typed("nth"), self._typed("weekday")
            return {**config, "nth": values.number(nth), "weekday": values.number(weekday)}
        return {
            **config,
            "day_of_month": values.number(self._typed("day_of_month")),
            "missing_day": self._typed("missing_day"),
        }

    def _custom(self) -> dict[str, Any]:
        return {"cron_expression": self._typed("cron_expression")}

    def _every(self) -> dict[str, Any]:
        """The default is left out, as people leave it out."""
        every = self._typed("every")
        return {} if every in ("", "1") else {"every": values.number(every)}


def typed(definition: Mapping[str, Any]) -> dict[str, list[str]]:
    """The form's fields as one would type them for this recurrence."""
    config = dict(definition["recurrence_config"])
    zone = definition["time_zone"]
    fields = {**DEFAULTS, "recurrence_type": [definition["recurrence_type"]], "time_zone": [zone]}
    if "run_at" in config:
        fields |= _typed_run_at(config.pop("run_at"), zone)
    if "nth" in config:
        fields["monthly_by"] = ["weekday"]
    fields["days_of_week"] = [str(day) for day in config.pop("days_of_week", [])]
    fields |= {name: [str(value)] for name, value in config.items() if value is not None}
    return fields


def _typed_run_at(run_at: str | None, zone: str) -> dict[str, list[str]]:
    if run_at is None:
        return {"by_hand": ["on"]}
    shown = values.as_wall(datetime.fromisoformat(run_at), zone)
    return {"run_at": [shown], "run_at_exact": [run_at]}
