"""Over HTTP: what a rule would do, and how a person's tasks stand."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api import queries
from accounts.api.authentication import person
from accounts.api.bodies import body
from scheduling import clock, schedules
from scheduling.api import inputs
from scheduling.api.serializers import PreviewSerializer, StatsSerializer


class Preview(APIView):
    """A rule in words, and its next runs."""

    scope_area: ClassVar = "tasks"
    action_scopes: ClassVar = {"post": ("tasks:read",)}

    @extend_schema(request=inputs.PreviewInput, responses=PreviewSerializer)
    def post(self, request: Request) -> Response:
        found = schedules.preview(body(request), now=clock.now())
        return Response(PreviewSerializer(found).data)


class Stats(APIView):
    """How many tasks stand where, and the five that run soonest within a week."""

    scope_area: ClassVar = "tasks"

    @extend_schema(
        parameters=[OpenApiParameter("ad_hoc", bool, description="Those as well.")],
        responses=StatsSerializer,
    )
    def get(self, request: Request) -> Response:
        with queries.reading() as errors:
            ad_hoc = queries.flag(request, "ad_hoc", errors)
        return Response(StatsSerializer(schedules.stats(person(request), ad_hoc=ad_hoc)).data)
