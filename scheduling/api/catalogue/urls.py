"""Below `/api/`."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, URLResolver, path

from scheduling.api.catalogue.files import FileDoor
from scheduling.api.catalogue.software import SoftwareDoor
from scheduling.api.catalogue.uploads import UploadPieces, Uploads
from scheduling.api.templates import TemplateDoor

LIST: dict[str, Any] = {"get": "list", "post": "create"}
FILE: dict[str, Any] = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}

urlpatterns: list[URLPattern | URLResolver] = [
    path("files", FileDoor.as_view(LIST), name="api-file-list"),
    path("files/uploads", Uploads.as_view(), name="api-upload-list"),
    path("files/uploads/<uuid:pk>", UploadPieces.as_view(), name="api-upload"),
    path("files/<uuid:pk>", FileDoor.as_view(FILE), name="api-file"),
    path("software", SoftwareDoor.as_view(LIST), name="api-software-list"),
    path(
        "software/<uuid:pk>",
        SoftwareDoor.as_view({**FILE, "put": "update"}),
        name="api-software",
    ),
    path("templates", TemplateDoor.as_view(LIST), name="api-template-list"),
    path(
        "templates/<uuid:pk>",
        TemplateDoor.as_view({**FILE, "put": "update"}),
        name="api-template",
    ),
]
