"""Names and lists for the sentences about rules, in the language that is active."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.utils.dates import MONTHS, WEEKDAYS
from django.utils.translation import gettext as _

Weekdays = Iterable[int]
_WORKING_WEEK = [0, 1, 2, 3, 4]


def listed(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    text = _("%(others)s and %(last)s")
    return text % {"others": ", ".join(words[:-1]), "last": words[-1]}


def numbers(given: Iterable[int]) -> str:
    """As in "1–5, 10 and 12"."""
    return listed([_run(run) for run in _runs(sorted(given))])


def _run(run: list[int]) -> str:
    return f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0])


def _runs(given: list[int]) -> list[list[int]]:
    """Three and more in a row together, the others on their own."""
    runs: list[list[int]] = []
    for number in given:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [part for run in runs for part in ([run] if len(run) > 2 else [[one] for one in run])]


def weekday(day: int) -> str:
    """0 is Monday."""
    return str(WEEKDAYS[day])


def every_weekday(days: Weekdays) -> str:
    """As in "every Monday and Friday"."""
    wanted = sorted(days)
    if len(wanted) == 7:
        return _("every day")
    if wanted == _WORKING_WEEK:
        return _("every weekday")
    return _("every %s") % listed([weekday(day) for day in wanted])


def on_weekdays(days: Weekdays) -> str:
    """As in "on Monday and Friday"."""
    wanted = sorted(days)
    if len(wanted) == 7:
        return _("on every day")
    if wanted == _WORKING_WEEK:
        return _("on weekdays")
    return _("on %s") % listed([weekday(day) for day in wanted])


def nth(number: int) -> str:
    """-1 is the last."""
    words = {
        1: _("first"),
        2: _("second"),
        3: _("third"),
        4: _("fourth"),
        5: _("fifth"),
        -1: _("last"),
    }
    return words[number]


def in_months(months: Iterable[int]) -> str:
    """As in "in January and July" or "from March to May"."""
    wanted = sorted(months)
    if len(wanted) > 2 and wanted == list(range(wanted[0], wanted[-1] + 1)):
        words = {"first": MONTHS[wanted[0]], "last": MONTHS[wanted[-1]]}
        return _("from %(first)s to %(last)s") % words
    return _("in %s") % listed([str(MONTHS[month]) for month in wanted])


def clock(hour: int, minute: int, second: int = 0) -> str:
    text = f"{hour:02}:{minute:02}"
    return f"{text}:{second:02}" if second else text
