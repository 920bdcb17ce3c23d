"""The first page: did the night go well, what comes next, what is at work and what waits, and why."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.views.decorators.http import require_safe

from accounts.pages import person, render_page
from devices import presence
from devices.models import Device
from scheduling import charts, executions, holdups, outcomes, schedules, waiting
from scheduling.models import Execution

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse

ROWS = 5


@dataclass(frozen=True, slots=True)
class UnderWay:
    """An execution that has not ended, and in sentences what of it waits, and why."""

    execution: Execution
    holdups: list[str]


@require_safe
@login_required
def overview(request: HttpRequest) -> HttpResponse:
    """Each region asks only for what it shows: the live one changes often, the chart seldom."""
    user, now = person(request), timezone.now()
    asked: dict[str, Callable[[], Any]] = {
        "devices": partial(presence.counts, Device.objects.visible_to(user)),
        "stats": partial(schedules.stats, user),
        "outcomes": partial(outcomes.latest, user, now=now),
        "under_way": partial(_under_way, user),
        "failed": partial(_failed, user),
        "days": partial(charts.of_days, user, settings.TIME_ZONE, now=now),
    }
    regions = {"overview": "overview/_overview.html", "days": "overview/_days.html"}
    context: dict[str, Any] = {name: SimpleLazyObject(ask) for name, ask in asked.items()}
    return render_page(request, "overview/overview.html", context, regions=regions)


def _under_way(user: User) -> list[UnderWay]:
    unended = Execution.objects.visible_to(user).unended().select_related("rollout_paused_by")
    rows = executions.with_results(unended.order_by("-pk")[:ROWS])
    numbers = waiting.counted_of_each(row.pk for row in rows)
    return [UnderWay(row, holdups.sentences(row, numbers.get(row.pk, {}))) for row in rows]


def _failed(user: User) -> list[Execution]:
    wrong = Execution.objects.visible_to(user).filter(status__in=outcomes.WRONG)
    return list(wrong.order_by("-pk")[:ROWS])
