"""What a limited token may do: the scopes a request needs, read from its view.

    class TaskDoor(Door):
        scope_area = "tasks"                        # tasks:read for GET, tasks:write for the rest
        action_scopes = {"execute": ("tasks:run",)} # by the view's action; several: all needed

A view that names no area is open to unlimited tokens and the scope `admin` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from rest_framework.permissions import SAFE_METHODS, BasePermission

from accounts.models import ApiToken

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView


class HasScope(BasePermission):
    """Limits tokens only; a session has all its person's rights. Never gives a right."""

    message = ""

    def has_permission(self, request: Request, view: APIView) -> bool:
        token = request.auth
        if not isinstance(token, ApiToken) or not token.scopes:
            return True
        if ApiToken.Scope.ADMIN in token.scopes:
            return True
        missing = [
            one for one in needed_scopes(str(request.method), view) if one not in token.scopes
        ]
        self.message = _("The token lacks the scope %s.") % ", ".join(missing)
        return not missing


def needed_scopes(method: str, view: APIView) -> tuple[str, ...]:
    action = getattr(view, "action", None) or method.lower()
    by_action = getattr(view, "action_scopes", {})
    if action in by_action:
        return tuple(by_action[action])
    area = getattr(view, "scope_area", None)
    if area is None:
        return (ApiToken.Scope.ADMIN.value,)
    return (f"{area}:read" if method in SAFE_METHODS else f"{area}:write",)
