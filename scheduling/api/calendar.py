"""Over HTTP: the calendar."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api import queries
from accounts.api.authentication import person
from devices.agent import kinds
from scheduling import calendar, clock
from scheduling.api.serializers import LocalTimeField
from scheduling.models import Execution

_UNTIL = (
    f"Up to this instant; default {calendar.DEFAULT_DAYS} days after `from`, at most"
    f" {calendar.MOST_DAYS}."
)


class CalendarRowSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField([("planned", "planned"), ("past", "past")])
    task_id = serializers.UUIDField(allow_null=True, help_text="Null once the task is deleted.")
    task_name = serializers.CharField()
    task_type = serializers.ChoiceField(kinds.choices())
    at = serializers.DateTimeField(help_text="The nominal time.")
    local = LocalTimeField(help_text="The same in the task's zone.")
    time_zone = serializers.CharField()
    status = serializers.ChoiceField(
        Execution.Status.choices, allow_null=True, help_text="Of a past one's execution."
    )
    execution_id = serializers.UUIDField(allow_null=True)
    note = serializers.CharField(
        allow_null=True,
        help_text="What daylight saving does to a planned one; why a past one did not run.",
    )


class CalendarSerializer(serializers.Serializer[Any]):
    """In order of time. Where `capped`, later rows are left out: ask again from the last `at`."""

    to = serializers.DateTimeField(source="until")
    capped = serializers.BooleanField(source="is_capped")
    rows = CalendarRowSerializer(many=True)

    def get_fields(self) -> dict[str, Any]:
        # `from` is a word of Python's.
        return {"from": serializers.DateTimeField(source="since"), **super().get_fields()}


class Calendar(APIView):
    """Planned and past occurrences: at most 366 days and 10,000 rows."""

    scope_area: ClassVar = "tasks"

    @extend_schema(
        parameters=[
            OpenApiParameter("from", datetime, description="Default now."),
            OpenApiParameter("to", datetime, description=_UNTIL),
        ],
        responses=CalendarSerializer,
    )
    def get(self, request: Request) -> Response:
        with queries.reading() as errors:
            since = queries.instant(request, "from", errors)
            until = queries.instant(request, "to", errors)
        found = calendar.between(person(request), since, until, now=clock.now())
        return Response(CalendarSerializer(found).data)
