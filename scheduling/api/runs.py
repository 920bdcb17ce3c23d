"""Runs of devices over HTTP, and what they wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, TypeVar

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import queries
from accounts.api.authentication import person
from accounts.api.bodies import only
from accounts.api.browsable import BrowsableRenderer
from accounts.api.doors import Door
from accounts.api.idempotency import idempotent
from accounts.api.pagination import HistoryPages
from scheduling import executions, outputs, restoring, waiting
from scheduling.api import downloads
from scheduling.api.filters import RunFilters
from scheduling.api.serializers import ExecutionSerializer, OutputSerializer, RunSerializer
from scheduling.models import DeviceRun, Execution, OutputChunk

MOST_WAIT_SECONDS = 25
NEXT_OFFSET = "DeployX-Next-Offset"
FINISHED = "DeployX-Finished"
DROPPED = "DeployX-Dropped-Bytes"
_UNSHOWN = (
    "terms",
    "signature",
    "execution__definition",
    "execution__payload",
    "execution__rollback_payload",
)


def visible_runs(request: Request) -> QuerySet[DeviceRun]:
    visible = DeviceRun.objects.visible_to(person(request))
    return visible.select_related("execution", "device").defer(*_UNSHOWN)


class ExecutionRuns(Door):
    """The devices of an execution, one run an attempt, newest first."""

    queryset = DeviceRun.objects.all()
    serializer_class = RunSerializer
    filterset_class = RunFilters
    pagination_class = HistoryPages
    scope_area = "tasks"

    def list(self, request: Request, pk: Any) -> Response:
        execution = get_object_or_404(Execution.objects.visible_to(person(request)), pk=pk)
        runs = visible_runs(request).filter(execution=execution)
        return self.page(runs, prepare=waiting.explain)


class RunDoor(Door):
    """One attempt of an execution on one device."""

    queryset = DeviceRun.objects.all()
    serializer_class = RunSerializer
    scope_area = "tasks"
    action_scopes: ClassVar = {"cancel": ("tasks:run",), "restore": ("tasks:run",)}

    def visible(self) -> QuerySet[DeviceRun]:
        return visible_runs(self.request)

    def retrieve(self, request: Request, pk: Any) -> Response:
        return Response(self._explained(self.one()))

    @extend_schema(request=None, responses={202: RunSerializer})
    def cancel(self, request: Request, pk: Any) -> Response:
        """Cancels it, or asks its device to kill it."""
        only(request)
        run = executions.cancel_run(self.one(), person(request))
        return Response(self._explained(self.again(run)), status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses={202: ExecutionSerializer})
    @idempotent
    def restore(self, request: Request, pk: Any) -> Response:
        """Puts back what this run's file deployment replaced on its device."""
        only(request)
        execution = restoring.restore_run(self.one(), person(request))
        executions.with_results([execution])
        data = ExecutionSerializer(execution, context=self.get_serializer_context()).data
        return Response(data, status=status.HTTP_202_ACCEPTED)

    def _explained(self, run: DeviceRun) -> Any:
        waiting.explain([run])
        return self.shown(run)


class PlainText(BaseRenderer):
    """The bytes as they were."""

    media_type = "text/plain"
    format = "txt"
    charset = "utf-8"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return data if isinstance(data, bytes) else json.dumps(data).encode()


def _parameter(name: str, text: str, **schema: Any) -> OpenApiParameter:
    return OpenApiParameter(name, schema or OpenApiTypes.STR, description=text)


class Output(Door):
    """What a run wrote."""

    queryset = DeviceRun.objects.all()
    serializer_class = OutputSerializer
    pagination_class = None
    renderer_classes = (JSONRenderer, PlainText, BrowsableRenderer)
    scope_area = "tasks"

    def visible(self) -> QuerySet[DeviceRun]:
        return visible_runs(self.request)

    @extend_schema(
        parameters=[
            _parameter("offset", "In bytes.", type="integer", minimum=0, default=0),
            _parameter("stream", "One of the two.", type="string", enum=["stdout", "stderr"]),
            _parameter(
                "wait",
                "Seconds to hold the request until there is more; 503 with `Retry-After` where too"
                " many are held.",
                type="integer",
                minimum=0,
                maximum=MOST_WAIT_SECONDS,
                default=0,
            ),
        ],
        responses={
            (200, "application/json"): OutputSerializer,
            (200, "text/plain"): OpenApiResponse(
                OpenApiTypes.STR,
                "The bytes as they were, all of them unless `wait` is given; "
                "`DeployX-Next-Offset`, `DeployX-Finished` and `DeployX-Dropped-Bytes` say the rest.",
            ),
            503: OpenApiResponse(description="Too many requests are held; see `Retry-After`."),
        },
    )
    def retrieve(self, request: Request, pk: Any) -> HttpResponseBase:
        # Whoever wants to wait is held by `held_output`, which asks here once or twice.
        with queries.reading() as errors:
            offset = queries.whole_number(
                request, "offset", errors, default=0, low=0, high=2**63 - 1
            )
            stream = queries.one_of(request, "stream", errors, OutputChunk.Stream.values)
            wait = queries.whole_number(
                request, "wait", errors, default=0, low=0, high=MOST_WAIT_SECONDS
            )
        run = self.one()
        is_plain = isinstance(request.accepted_renderer, PlainText)
        if is_plain and not wait:
            whole = downloads.response(request._request, run, offset=offset, stream=stream)
            return _told(whole, run, max(offset, run.output_next), run.has_ended)
        part = outputs.read(run, offset=offset, stream=stream)
        shown = {name: value for name, value in asdict(part).items() if name != "data"}
        answer = Response(part.data if is_plain else shown)
        return _told(answer, run, part.next_offset, part.finished)


Answer = TypeVar("Answer", bound=HttpResponseBase)


def _told(answer: Answer, run: DeviceRun, next_offset: int, finished: bool) -> Answer:
    answer.headers[NEXT_OFFSET] = str(next_offset)
    answer.headers[FINISHED] = str(finished).lower()
    answer.headers[DROPPED] = str(run.dropped_bytes)
    return answer
