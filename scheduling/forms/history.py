"""What narrows the history of executions down, as typed into its page's address."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.pages import identifier
from scheduling import outcomes
from scheduling.models import Execution, ScheduledTask

if TYPE_CHECKING:
    from uuid import UUID

    from scheduling.models.execution import ExecutionQuerySet

MOST_NAMED = 5


# States that people look for together, and spans of time, by the word in the address.
SETS = {
    "unended": (gettext_lazy("Not ended"), ("pending", "running")),
    "wrong": (gettext_lazy("Went wrong"), outcomes.WRONG),
}
SPANS = {"24h": timedelta(hours=24), "7d": timedelta(days=7)}


def _states() -> list[tuple[str, str]]:
    sets = [(name, str(label)) for name, (label, _statuses) in SETS.items()]
    return [("", _("All")), *sets, *((one.value, str(one.label)) for one in Execution.Status)]


def _spans() -> list[tuple[str, str]]:
    words = {"24h": _("last 24 hours"), "7d": _("last 7 days")}
    return [("", _("at any time")), *words.items()]


class HistoryFilter(forms.Form):
    """Each field is found by an index: no filter reads the whole history. Days are in UTC."""

    status = forms.ChoiceField(label=gettext_lazy("Status"), choices=_states, required=False)
    ended = forms.ChoiceField(label=gettext_lazy("Ended"), choices=_spans, required=False)
    task = forms.CharField(label=gettext_lazy("Task"), max_length=200, required=False)
    who = forms.CharField(label=gettext_lazy("Opened by or for"), max_length=150, required=False)
    since = forms.DateField(label=gettext_lazy("From (UTC)"), required=False)
    until = forms.DateField(label=gettext_lazy("To (UTC)"), required=False)

    def __init__(self, user: User, data: Any) -> None:
        super().__init__(data)
        self._user = user
        for name in ("since", "until"):
            self.fields[name].widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
        for name in ("task", "who"):
            self.fields[name].widget.input_type = "search"

    @property
    def narrows(self) -> bool:
        """Whether anything is asked for."""
        return any(self.data.get(name) for name in self.fields)

    def clean_status(self) -> tuple[str, ...]:
        word = self.cleaned_data["status"]
        _label, statuses = SETS.get(word, ("", (word,)))
        return statuses if word else ()

    def clean_task(self) -> UUID | str | None:
        """A task's id, by id, exact name, or a part of a name that one task alone has. Else the exact
        name of something that is gone: a deleted task, or what was run at once."""
        words: str = self.cleaned_data["task"].strip()
        if not words:
            return None
        visible = ScheduledTask.objects.visible_to(self._user)
        if (pk := identifier(words)) and visible.filter(pk=pk).exists():
            return pk
        found = list(visible.filter(name__iexact=words)[:2])
        found = found or list(visible.filter(name__icontains=words)[: MOST_NAMED + 1])
        if not found and _gone(Execution.objects.visible_to(self._user), words).exists():
            return words
        if not found:
            raise ValidationError(_("There is no task “%s”.") % words)
        if len(found) > 1:
            names = ", ".join(f"“{one.name}”" for one in found[:MOST_NAMED])
            raise ValidationError(
                _("Several tasks are meant: %s. Give one name, or an id.") % names
            )
        return found[0].pk

    def clean_who(self) -> int | None:
        words = self.cleaned_data["who"].strip()
        if not words:
            return None
        found = User.objects.filter(username=words).values_list("pk", flat=True).first()
        if found is None:
            raise ValidationError(_("There is no account “%s”.") % words)
        return found

    def applied(self, found: ExecutionQuerySet) -> ExecutionQuerySet:
        """The executions that fit; none where something typed is wrong."""
        if not self.is_valid():
            return found.none()
        given = self.cleaned_data
        if isinstance(task := given["task"], str):
            found, task = _gone(found, task), None
        by = {"status__in": given["status"], "task": task, "user": given["who"]}
        found = found.filter(**{name: value for name, value in by.items() if value})
        if given["since"]:
            found = found.opened_from(_midnight(given["since"]))
        if given["until"] and given["until"] < date.max:
            found = found.opened_before(_midnight(given["until"]) + timedelta(days=1))
        if given["ended"]:
            found = found.ended_from(timezone.now() - SPANS[given["ended"]])
        return found


def _gone(found: ExecutionQuerySet, name: str) -> ExecutionQuerySet:
    """Those whose task, which had this name, was deleted, or that never had one."""
    return found.filter(task=None, task_name=name)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
