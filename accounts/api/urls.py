"""The doors under `/api/`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from accounts.api.tokens import TokenDoor

urlpatterns: list[URLPattern | URLResolver] = [
    path("tokens", TokenDoor.as_view({"get": "list", "post": "create"}), name="api-token-list"),
    path("tokens/<uuid:pk>/revoke", TokenDoor.as_view({"post": "revoke"}), name="api-token-revoke"),
]
