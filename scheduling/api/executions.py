"""Executions over HTTP: the history of all tasks, "Execute now", and steering a rollout."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import fields
from accounts.api.authentication import person
from accounts.api.bodies import body, only
from accounts.api.doors import Door
from accounts.api.idempotency import idempotent
from accounts.api.pagination import HistoryPages
from accounts.errors import InvalidInput
from scheduling import executions, restoring, schedules
from scheduling.api import inputs
from scheduling.api.filters import ExecutionFilters
from scheduling.api.serializers import ExecutionSerializer
from scheduling.api.tasks import READ_ONLY, accepted, listed_executions
from scheduling.models import Execution

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MOST_WAVES = 50_000
_RUNS = ("tasks:run",)
accepts_nothing = extend_schema(request=None, responses={202: ExecutionSerializer})


class ExecutionDoor(Door):
    """One occurrence, or one manual run, of a task."""

    queryset = Execution.objects.all()
    serializer_class = ExecutionSerializer
    filterset_class = ExecutionFilters
    pagination_class = HistoryPages
    scope_area = "tasks"
    action_scopes: ClassVar = {
        # It both defines a command and runs it.
        "create": ("tasks:write", "tasks:run"),
        **dict.fromkeys(
            ("cancel", "pause", "resume", "promote", "abort", "retry", "restore"), _RUNS
        ),
    }

    def visible(self) -> QuerySet[Execution]:
        return listed_executions(person(self.request))

    def list(self, request: Request) -> Response:
        return self.page(self.visible(), prepare=executions.with_results)

    @extend_schema(request=inputs.WorkInput, responses={202: ExecutionSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Runs a definition without recurrence at once, carried by an ad hoc task."""
        given = body(request, read_only=READ_ONLY)
        return accepted(schedules.execute_now(person(request), given))

    def retrieve(self, request: Request, pk: Any) -> Response:
        execution = self.one()
        executions.with_results([execution])
        return Response(self.shown(execution))

    @extend_schema(request=inputs.CancelInput, responses={202: ExecutionSerializer})
    def cancel(self, request: Request, pk: Any) -> Response:
        """Cancels what has not started, and asks the devices to kill what has."""
        given = only(request, "wave")
        execution = self.one()
        return accepted(executions.cancel(execution, person(request), wave=_wave(given)))

    @accepts_nothing
    def pause(self, request: Request, pk: Any) -> Response:
        """Releases nothing more until it is resumed."""
        return self._steered(request, executions.pause_rollout)

    @accepts_nothing
    def resume(self, request: Request, pk: Any) -> Response:
        """Goes on with a paused rollout."""
        return self._steered(request, executions.resume_rollout)

    @accepts_nothing
    def promote(self, request: Request, pk: Any) -> Response:
        """Lets the next wave go now."""
        return self._steered(request, executions.promote)

    @accepts_nothing
    def abort(self, request: Request, pk: Any) -> Response:
        """Lets what has started finish and skips the rest."""
        return self._steered(request, executions.abort)

    @extend_schema(request=inputs.RetryInput, responses={202: ExecutionSerializer})
    @idempotent
    def retry(self, request: Request, pk: Any) -> Response:
        """A new execution, same payload and options, on the devices that did not succeed."""
        given = only(request, "statuses")
        execution = self.one()
        return accepted(executions.retry(execution, person(request), given.get("statuses")))

    @accepts_nothing
    @idempotent
    def restore(self, request: Request, pk: Any) -> Response:
        """Puts back what the execution's file deployment replaced, on every device that kept it."""
        only(request)
        return accepted(restoring.restore(self.one(), person(request)))

    def _steered(self, request: Request, verb: Callable[[Execution, User], Execution]) -> Response:
        only(request)
        return accepted(verb(self.one(), person(request)))


def _wave(given: dict[str, Any]) -> int | None:
    if "wave" not in given:
        return None
    try:
        wave: int = fields.whole_number(1, MOST_WAVES)(given["wave"])
    except ValueError as error:
        raise InvalidInput({"wave": [str(error)]}) from None
    return wave
