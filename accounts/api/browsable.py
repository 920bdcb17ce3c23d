"""The API for people with a browser: DRF's browsable API on a page of ours, without inline code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.utils.formatting import camelcase_to_spaces, remove_trailing_string

if TYPE_CHECKING:
    from rest_framework.views import APIView

STANDARD = ("list", "create", "retrieve", "update", "partial_update", "destroy", "metadata")
WITH_BODY = ("POST", "PUT", "PATCH")


class BrowsableRenderer(BrowsableAPIRenderer):
    template = "api/browsable.html"

    def get_context(
        self, data: Any, accepted_media_type: str | None, renderer_context: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        assert renderer_context is not None
        view, response = renderer_context["view"], renderer_context["response"]
        request = renderer_context["request"]
        renderer = self.get_default_renderer(view)
        assert renderer is not None
        content = self.get_content(renderer, data, accepted_media_type, dict(renderer_context))
        allowed = [method for method in view.allowed_methods if method != "OPTIONS"]
        is_shown = request.method == "GET" and response.status_code == 200
        return {
            "request": request,
            "user": request.user,
            "view_name": view.get_view_name(),
            "description": self.get_description(view, response.status_code),
            "breadcrumbs": [
                (href.rstrip("/").rpartition("/")[2], href)
                for name, href in self.get_breadcrumbs(request)[:-1]
                if name
            ],
            "response": response,
            "response_headers": dict(response.items()),
            "content": content,
            "can_delete": "DELETE" in allowed,
            "body_methods": [method for method in WITH_BODY if method in allowed],
            "body": content if is_shown and "PUT" in allowed else "{}",
        }


def name_of(view: APIView) -> str:
    """DRF's VIEW_NAME_FUNCTION: "Task" for a TaskDoor."""
    name = camelcase_to_spaces(remove_trailing_string(type(view).__name__, "Door"))
    action = getattr(view, "action_map", None) and getattr(view, "action", None)
    is_verb = action and action not in STANDARD
    return f"{name}: {action}" if is_verb else str(name)
