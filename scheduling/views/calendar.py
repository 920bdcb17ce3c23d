"""Planned and past runs by the month, the week, the day and the hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.errors import InvalidInput
from accounts.pages import person, render_page
from scheduling import plans, timetable, zones
from scheduling.forms.calendar import CalendarForm
from scheduling.models import Execution

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

# With so many plans a look takes long enough for once a minute to do.
MOST_FOLLOWED = 500


@require_safe
@login_required
def calendar(request: HttpRequest) -> HttpResponse:
    form = CalendarForm(request.GET, now=timezone.now())
    sheet = form.sheet
    try:
        found = timetable.of(person(request), sheet.spans, sheet.most, form.searched)
    except InvalidInput as refusal:
        form.refuse(refusal)
        found = timetable.Timetable([], 0, is_capped=False)
    context = {
        "form": form,
        "sheet": sheet,
        "timetable": found,
        "rows": sheet.rows(found.cells),
        "follows": found.plans <= MOST_FOLLOWED,
        "crowd": plans.CROWD,
        "compared": plans.MOST_COMPARED_A_DAY,
        "execution_model": Execution,
        "zones": zones.names(),
    }
    regions = {"calendar": "calendar/_calendar.html"}
    return render_page(request, "calendar/calendar.html", context, regions=regions)
