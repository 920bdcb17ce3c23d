"""The options of a task that most people leave alone, as form fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from scheduling.forms import values
from scheduling.models import ScheduledTask

TIME_UNITS = (
    ("seconds", _("seconds")),
    ("minutes", _("minutes")),
    ("hours", _("hours")),
    ("days", _("days")),
)
STRATEGY_LABELS = (
    ("parallel", _("All at once")),
    ("rolling", _("In batches")),
    ("canary", _("A few first, then the rest")),
    ("blue_green", _("One half, then the other")),
    ("transactional", _("All or none")),
)
LENGTHS = ("timeout_seconds", "expires_after_seconds", "misfire_grace_seconds", "jitter_seconds")
ROLLOUT_NUMBERS = ("max_concurrent", "soak_seconds", "success_threshold_percent")
ROLLOUT_AMOUNTS = ("batch_size", "canary_size", "abort_after_failures")


def _text(label: Any, help_text: Any = "", **attrs: Any) -> forms.CharField:
    widget = forms.TextInput(attrs=attrs)
    return forms.CharField(required=False, label=label, help_text=help_text, widget=widget)


def _choice(label: Any, choices: Any) -> forms.CharField:
    return forms.CharField(required=False, label=label, widget=forms.Select(choices=choices))


def _number(label: Any, low: int = 0) -> forms.CharField:
    widget = forms.NumberInput(attrs={"min": low})
    return forms.CharField(required=False, label=label, widget=widget)


def _unit() -> forms.CharField:
    return _choice(_("Unit"), TIME_UNITS)


class OptionsForm(forms.Form):
    start_at = _text(_("Not before"), type="datetime-local")
    end_at = _text(_("Not after"), type="datetime-local")
    start_at_exact = forms.CharField(required=False, widget=forms.HiddenInput)
    end_at_exact = forms.CharField(required=False, widget=forms.HiddenInput)
    max_runs = _number(_("At most so many runs"), 1)
    excluded_dates = _text(_("Never on these dates"), _("Such as 2027-12-24, 2027-12-25."))
    jitter_seconds = _number(_("Spread each start over"))
    jitter_seconds_unit = _unit()
    misfire_policy = _choice(_("If runs were missed"), ScheduledTask.MisfirePolicy.choices)
    misfire_grace_seconds = _number(_("Late by this much is not missed"))
    misfire_grace_seconds_unit = _unit()
    overlap_policy = _choice(
        _("If the last run is still under way"), ScheduledTask.OverlapPolicy.choices
    )
    offline_policy = _choice(_("If a device is offline"), ScheduledTask.OfflinePolicy.choices)
    expires_after_seconds = _number(_("Wait for it at most"), 1)
    expires_after_seconds_unit = _unit()
    timeout_seconds = _number(_("Stop a run after"), 1)
    timeout_seconds_unit = _unit()
    strategy = _choice(_("Rollout"), STRATEGY_LABELS)
    max_concurrent = _number(_("Devices at the same time"), 1)
    batch_size = _text(_("Batch"), _("A number of devices, or a share such as 10%."))
    canary_size = _text(_("First"), _("A number of devices, or a share such as 5%."))
    soak_seconds = _number(_("Seconds to watch before going on"))
    abort_after_failures = _text(_("Stop after failures"), _("A number, or a share such as 10%."))
    success_threshold_percent = _number(_("Success means, in percent"))
    max_attempts = _number(_("Attempts on each device"), 1)
    backoff_seconds = _number(_("Seconds before the second attempt"))
    backoff_multiplier = _text(_("Each further pause times"), inputmode="decimal")
    on_exit_codes = _text(_("Only after these exit codes"), _("Empty: after any failure."))

    def lengths(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        """Each length of time with its unit."""
        return [(self[name], self[f"{name}_unit"]) for name in LENGTHS]

    def definition(self, zone: str) -> dict[str, Any]:
        return {
            "start_at": self._instant("start_at", zone),
            "end_at": self._instant("end_at", zone),
            "max_runs": values.number(self._typed("max_runs")),
            "excluded_dates": values.words(self._typed("excluded_dates")),
            **{name: self._length(name) for name in LENGTHS if self._typed(name)},
            **self._policies(),
            "rollout": self._rollout(),
            "retry": self._retry(),
        }

    def _typed(self, name: str) -> str:
        return str(self.data.get(name, "")).strip()

    def _instant(self, name: str, zone: str) -> str | None:
        typed = self._typed(name)
        kept = values.kept(self._typed(f"{name}_exact"), typed, zone)
        return kept or values.instant(typed, zone)

    def _length(self, name: str) -> Any:
        return values.seconds(self._typed(name), self._typed(f"{name}_unit"))

    def _policies(self) -> dict[str, str]:
        names = ("misfire_policy", "overlap_policy", "offline_policy")
        return {name: self._typed(name) for name in names if self._typed(name)}

    def _rollout(self) -> dict[str, Any]:
        given: dict[str, Any] = {"strategy": self._typed("strategy")}
        given |= {name: values.number(self._typed(name)) for name in ROLLOUT_NUMBERS}
        given |= {name: values.number(self._typed(name)) for name in ROLLOUT_AMOUNTS}
        return {name: value for name, value in given.items() if value not in (None, "")}

    def _retry(self) -> dict[str, Any]:
        given: dict[str, Any] = {
            "max_attempts": values.number(self._typed("max_attempts")),
            "backoff_seconds": values.number(self._typed("backoff_seconds")),
            "backoff_multiplier": values.decimal(self._typed("backoff_multiplier")),
            "on_exit_codes": values.numbers(self._typed("on_exit_codes")),
        }
        return {name: value for name, value in given.items() if value is not None}


def typed(definition: Mapping[str, Any]) -> dict[str, list[str]]:
    """The form's fields as one would type them for these options."""
    zone = definition["time_zone"]
    fields = {
        "max_runs": definition["max_runs"],
        "excluded_dates": ", ".join(str(day) for day in definition["excluded_dates"]),
        **{
            name: definition[name]
            for name in ("misfire_policy", "overlap_policy", "offline_policy")
        },
        **definition["rollout"],
        **definition["retry"],
        "on_exit_codes": ", ".join(str(code) for code in definition["retry"]["on_exit_codes"]),
    }
    for name in ("start_at", "end_at"):
        fields[name] = values.as_wall(definition[name], zone)
        fields[f"{name}_exact"] = definition[name] and definition[name].isoformat()
    for name in LENGTHS:
        fields[name], fields[f"{name}_unit"] = values.as_amount(definition[name])
    return {name: [str(value)] for name, value in fields.items() if value is not None}
