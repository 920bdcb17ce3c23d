"""What daylight saving does to one occurrence, in words."""

from __future__ import annotations

from django.utils.translation import gettext as _

from scheduling.recurrence.instants import DAY, SECOND
from scheduling.recurrence.series import OnTheWall, Series
from scheduling.recurrence.wall import Change, changes


def of(series: Series, at: int) -> str | None:
    """None where the clocks run on, or the rule does not look at them."""
    if not isinstance(series, OnTheWall):
        return None
    second = at // SECOND
    for change in changes(series.zone, second - DAY, second + DAY):
        note = _note(series, change, second)
        if note is not None:
            return note
    return None


def _note(series: OnTheWall, change: Change, at: int) -> str | None:
    start, end = change.gap
    if change.jumps_ahead:
        return _of_jump(series, change, at)
    # The times of the wall in [end, start) come twice: up to the change, and from it on.
    if not change.at - (start - end) <= at < change.at + (start - end):
        return None
    words = {"time": _clock(at + (change.before if at < change.at else change.after))}
    if series.as_shown:
        return (
            _("The clocks are turned back: %(time)s comes twice, and it runs both times.") % words
        )
    return (
        _("The clocks are turned back: %(time)s comes twice, and it runs the first time.") % words
    )


def _of_jump(series: OnTheWall, change: Change, at: int) -> str | None:
    start, end = change.gap
    wall = series.next_wall(start) if at >= change.at else None
    if wall is None or wall >= end:
        return None
    if not series.as_shown:
        if at != change.at:
            return None
        text = _("The clocks jump over %(time)s: it runs at %(end)s.")
        return text % {"time": _clock(wall), "end": _clock(end)}
    if series.next(change.at * SECOND - 1) != at * SECOND:
        return None
    text = _("The clocks jump from %(start)s to %(end)s: what would run in between is left out.")
    return text % {"start": _clock(start), "end": _clock(end)}


def _clock(wall: int) -> str:
    minutes, seconds = divmod(wall % DAY, 60)
    text = f"{minutes // 60:02}:{minutes % 60:02}"
    return f"{text}:{seconds:02}" if seconds else text
