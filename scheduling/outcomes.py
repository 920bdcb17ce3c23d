"""What came of all that ended lately, in numbers and as one verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db.models import Count
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from scheduling.models import Execution
from scheduling.progress import TELLING

if TYPE_CHECKING:
    from django.contrib.auth.models import User

HOURS = 24
WRONG = tuple(one for one in TELLING if one != "success")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How many executions ended in each state."""

    numbers: Mapping[str, int]

    @property
    def judged(self) -> int:
        return sum(self.numbers.get(one, 0) for one in TELLING)

    @property
    def succeeded(self) -> int:
        return self.numbers.get("success", 0)

    @property
    def wrong(self) -> list[tuple[str, str, int]]:
        """The states something went wrong in: each, its word and its number."""
        each = [(one, self.numbers.get(one, 0)) for one in WRONG]
        return [(one, str(Execution.Status(one).label), number) for one, number in each if number]

    @property
    def tone(self) -> str:
        if not self.judged:
            return "still"
        if self.numbers.get("failed") or self.numbers.get("missed"):
            return "bad"
        return "mild" if self.wrong else "good"

    @property
    def sentence(self) -> str:
        if not self.judged:
            return _("Nothing ended in the last %d hours.") % HOURS
        if not self.wrong:
            said = ngettext(
                "All went well: %(all)s execution ended in the last %(hours)s hours, and succeeded.",
                "All went well: %(all)s executions ended in the last %(hours)s hours, and succeeded.",
                self.judged,
            )
        else:
            said = ngettext(
                "%(done)s of %(all)s execution of the last %(hours)s hours succeeded.",
                "%(done)s of %(all)s executions of the last %(hours)s hours succeeded.",
                self.judged,
            )
        return said % {"done": self.succeeded, "all": self.judged, "hours": HOURS}


def latest(user: User, *, now: datetime) -> Outcomes:
    """Of the executions this person may see that ended within HOURS; found by the index of ends."""
    ended = Execution.objects.visible_to(user).filter(
        completed_at__gte=now - timedelta(hours=HOURS)
    )
    rows = ended.order_by().values_list("status").annotate(number=Count("pk"))
    return Outcomes(dict(rows))
