"""Scheduled tasks over HTTP."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import person
from accounts.api.bodies import body, only
from accounts.api.doors import Door, names_of
from accounts.api.etags import tagged
from accounts.api.idempotency import idempotent
from accounts.api.pagination import HistoryPages
from scheduling import definitions, executions, schedules
from scheduling.api import inputs
from scheduling.api.filters import TaskFilters
from scheduling.api.serializers import ExecutionSerializer, TaskSerializer
from scheduling.models import Execution, ScheduledTask

READ_ONLY = frozenset(names_of(TaskSerializer)) - definitions.CHECKS.keys()


class TaskDoor(Door):
    """What to run, where and when."""

    queryset = ScheduledTask.objects.all()
    serializer_class = TaskSerializer
    filterset_class = TaskFilters
    scope_area = "tasks"
    action_scopes: ClassVar = {"execute": ("tasks:run",)}

    def visible(self) -> QuerySet[ScheduledTask]:
        return ScheduledTask.objects.visible_to(person(self.request)).prefetch_related(
            "dependencies"
        )

    def list(self, request: Request) -> Response:
        return self.page(self.visible())

    @extend_schema(request=inputs.TaskInput, responses={201: TaskSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        task = schedules.create(person(request), body(request, read_only=READ_ONLY))
        return tagged(self.shown(self.again(task)), status=status.HTTP_201_CREATED)

    def retrieve(self, request: Request, pk: Any) -> Response:
        return tagged(self.shown(self.one()))

    @extend_schema(request=inputs.TaskInput)
    def update(self, request: Request, pk: Any) -> Response:
        return self._rewritten(request, partial=False)

    @extend_schema(request=inputs.TaskInput)
    def partial_update(self, request: Request, pk: Any) -> Response:
        return self._rewritten(request, partial=True)

    def destroy(self, request: Request, pk: Any) -> Response:
        """A run under way is cancelled first; the task's executions stay readable."""
        self.removed(lambda task: schedules.delete(task, person(request)))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None)
    def pause(self, request: Request, pk: Any) -> Response:
        """Nothing new starts until it is resumed; a running execution goes on."""
        only(request)
        return self.changed(lambda task: schedules.pause(task, person(request)))

    @extend_schema(request=None)
    def resume(self, request: Request, pk: Any) -> Response:
        """What was missed while paused does not fire."""
        only(request)
        return self.changed(lambda task: schedules.resume(task, person(request)))

    @extend_schema(request=None, responses={202: ExecutionSerializer})
    @idempotent
    def execute(self, request: Request, pk: Any) -> Response:
        """Runs it now; disturbs neither its schedule nor a pause."""
        only(request)
        return accepted(schedules.execute(self.one(), person(request)))

    def _rewritten(self, request: Request, *, partial: bool) -> Response:
        given = body(request, read_only=READ_ONLY)
        return self.changed(
            lambda task: schedules.update(task, person(request), given, partial=partial)
        )


class TaskExecutions(Door):
    """What came of a task, newest first."""

    queryset = Execution.objects.all()
    serializer_class = ExecutionSerializer
    pagination_class = HistoryPages
    scope_area = "tasks"

    def list(self, request: Request, pk: Any) -> Response:
        task = get_object_or_404(ScheduledTask.objects.visible_to(person(request)), pk=pk)
        found = listed_executions(person(request)).filter(task=task)
        return self.page(found, prepare=executions.with_results)


def listed_executions(user: Any) -> QuerySet[Execution]:
    """The executions this person may see, without what no answer shows."""
    return Execution.objects.visible_to(user).defer("definition", "payload", "rollback_payload")


def accepted(execution: Execution) -> Response:
    """What was asked for is under way."""
    executions.with_results([execution])
    return Response(ExecutionSerializer(execution).data, status=status.HTTP_202_ACCEPTED)
