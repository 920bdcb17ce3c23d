"""`/api/devices/{id}/runs`: a device's history, which only this side of the system knows."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import URLPattern, URLResolver, path
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import person
from accounts.api.doors import Door
from accounts.api.pagination import HistoryPages
from devices.models import Device
from scheduling import waiting
from scheduling.api.filters import RunFilters
from scheduling.api.runs import visible_runs
from scheduling.api.serializers import RunSerializer
from scheduling.models import DeviceRun


class DeviceRuns(Door):
    """What ran, runs and will run on a device, newest first, as far as this person may see it."""

    queryset = DeviceRun.objects.all()
    serializer_class = RunSerializer
    filterset_class = RunFilters
    pagination_class = HistoryPages
    scope_area = "tasks"

    def list(self, request: Request, pk: Any) -> Response:
        device = get_object_or_404(Device.objects.visible_to(person(request)), pk=pk)
        return self.page(visible_runs(request).filter(device=device), prepare=waiting.explain)


urlpatterns: list[URLPattern | URLResolver] = [
    path("<uuid:pk>/runs", DeviceRuns.as_view({"get": "list"}), name="api-device-runs"),
]
