"""The API's front door: what there is, its description, and a 404 in its own language."""

from __future__ import annotations

from typing import Any

from csp.decorators import csp_update
from django.utils.decorators import method_decorator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

DOORS = {
    "tasks": "api-task-list",
    "executions": "api-execution-list",
    "preview": "api-preview",
    "stats": "api-stats",
    "calendar": "api-calendar",
    "templates": "api-template-list",
    "files": "api-file-list",
    "software": "api-software-list",
    "devices": "api-device-list",
    "groups": "api-group-list",
    "enrollment_tokens": "api-enrollment-token-list",
    "tokens": "api-token-list",
    "schema": "api-schema",
    "docs": "api-docs",
}


class Root(APIView):
    """The doors of this API."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        return Response({name: reverse(route, request=request) for name, route in DOORS.items()})

    def get_view_name(self) -> str:
        return "API"


class Missing(APIView):
    """Whatever is not there, answered as the rest of the API answers."""

    permission_classes = (AllowAny,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise NotFound

    def get_view_name(self) -> str:
        return ""


class Description(SpectacularAPIView):
    """OpenAPI 3.1."""


# Swagger UI draws its icons from `data:` addresses; nothing else on our pages may.
@method_decorator(csp_update({"img-src": ["'self'", "data:"]}), name="dispatch")
class Docs(SpectacularSwaggerView):
    template_name = "api/docs.html"
    url_name = "api-schema"
    title = "DeployX API"
