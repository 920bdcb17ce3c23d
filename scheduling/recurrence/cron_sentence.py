"""A cron expression in words."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from scheduling.recurrence import cron, words

_MOST_TIMES = 6
_EVERY_DAY = frozenset(range(1, 32))
_EVERY_WEEKDAY = frozenset(range(7))
_EVERY_MONTH = frozenset(range(1, 13))


def of(expression: cron.Cron) -> str:
    """As in "every 15 minutes from 08:00 to 18:45 on weekdays"."""
    fixed = len(expression.times) <= _MOST_TIMES and len(expression.hours) < 24
    if fixed and not _days(expression):
        text = _("every day at %s") % _times(expression)
    elif fixed and (days := _only_weekdays(expression)):
        text = _("%(days)s at %(time)s") % {"days": days, "time": _times(expression)}
    else:
        when = _("at %s") % _times(expression) if fixed else _many(expression)
        text = " ".join(part for part in (when, _days(expression)) if part)
    if expression.months == _EVERY_MONTH:
        return text
    return f"{text} {words.in_months(expression.months)}"


def _times(expression: cron.Cron) -> str:
    return words.listed(
        [words.clock(hour, minute) for hour in expression.hours for minute in expression.minutes]
    )


# Many times a day


def _many(expression: cron.Cron) -> str:
    minutes, hours = expression.minutes, expression.hours
    minute_step, hour_step = _step(minutes, 60), _step(hours, 24)
    if len(hours) == 24:
        return _every_hour(minutes, minute_step)
    if hour_step and len(minutes) == 1:
        text = _("every %s hours") % hour_step
        return text if minutes == (0,) else _with_minutes(text, minutes)
    in_a_row = hours == tuple(range(hours[0], hours[-1] + 1))
    if in_a_row and (minute_step or len(minutes) == 1):
        return _("%(step)s from %(first)s to %(last)s") % {
            "step": _every_minutes(minute_step) if minute_step else _("every hour"),
            "first": words.clock(hours[0], minutes[0]),
            "last": words.clock(hours[-1], minutes[-1]),
        }
    text = ngettext("in hour %s", "in the hours %s", len(hours)) % words.numbers(hours)
    return f"{_every_minutes(minute_step)} {text}" if minute_step else _with_minutes(text, minutes)


def _every_hour(minutes: Sequence[int], step: int | None) -> str:
    if step:
        return _every_minutes(step)
    return _("every hour") if minutes == (0,) else _with_minutes(_("every hour"), minutes)


def _every_minutes(step: int) -> str:
    return ngettext("every minute", "every %(step)s minutes", step) % {"step": step}


def _with_minutes(text: str, minutes: Sequence[int]) -> str:
    pattern = ngettext(
        "%(when)s at minute %(minutes)s", "%(when)s at minutes %(minutes)s", len(minutes)
    )
    return pattern % {"when": text, "minutes": words.numbers(minutes)}


def _step(given: Sequence[int], length: int) -> int | None:
    """n, where these are every nth of `length`."""
    step = length // len(given)
    return step if len(given) > 1 and tuple(given) == tuple(range(0, length, step)) else None


# Days


def _days(expression: cron.Cron) -> str:
    days, weekdays = _days_of_month(expression.days), _weekdays(expression.weekdays)
    if not days or not weekdays:
        # "Either of them" with one that is every day is every day.
        return "" if expression.either else days or weekdays
    text = _("%(days)s or %(weekdays)s") if expression.either else _("%(days)s if %(weekdays)s")
    return text % {"days": days, "weekdays": weekdays}


def _only_weekdays(expression: cron.Cron) -> str:
    """As in "every Monday and Friday", where nothing else matters."""
    if expression.days != _EVERY_DAY or expression.either:
        return ""
    plain = [day for day in expression.weekdays if isinstance(day, int)]
    if len(plain) == len(expression.weekdays):
        return words.every_weekday(_from_monday(plain))
    if plain:
        return ""
    texts = [_nth_weekday(one) for one in sorted(_pairs(expression))]
    return _("every %s of the month") % words.listed(texts)


def _pairs(expression: cron.Cron) -> list[tuple[int, int]]:
    return [day for day in expression.weekdays if not isinstance(day, int)]


def _days_of_month(days: frozenset[int]) -> str:
    if days >= _EVERY_DAY:
        return ""
    plain = sorted(days - {cron.LAST, cron.LAST_WEEKDAY})
    texts = [ngettext("day %s", "days %s", len(plain)) % words.numbers(plain)] if plain else []
    if cron.LAST in days:
        texts.append(_("the last day of the month"))
    if cron.LAST_WEEKDAY in days:
        texts.append(_("the last weekday of the month"))
    return _("on %s") % words.listed(texts)


def _weekdays(weekdays: frozenset[int | tuple[int, int]]) -> str:
    plain = frozenset(day for day in weekdays if isinstance(day, int))
    if plain == _EVERY_WEEKDAY:
        return ""
    texts = [words.on_weekdays(_from_monday(plain))] if plain else []
    pairs = sorted(day for day in weekdays if not isinstance(day, int))
    texts += [_("on the %s of the month") % _nth_weekday(pair) for pair in pairs]
    return words.listed(texts)


def _nth_weekday(pair: tuple[int, int]) -> str:
    weekday, nth = pair
    number = words.nth(-1 if nth == cron.LAST else nth)
    return f"{number} {words.weekday((weekday - 1) % 7)}"


def _from_monday(weekdays: Sequence[int] | frozenset[int]) -> list[int]:
    """Cron's weekdays, where 0 is Sunday, as ours, where 0 is Monday."""
    return [(day - 1) % 7 for day in weekdays]
