from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from deployx import api, errors, views

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("", include("accounts.page_urls")),
    path("", include("devices.page_urls")),
    path("", include("scheduling.page_urls")),
    path("api/", include("devices.api.urls")),
    path("api/", include("accounts.api.urls")),
    path("api/schedule/", include("scheduling.api.urls")),
    path("api/", api.Root.as_view(), name="api-root"),
    path("api/schema", api.Description.as_view(), name="api-schema"),
    path("api/docs", api.Docs.as_view(), name="api-docs"),
    path("api/<path:rest>", api.Missing.as_view()),
]
handler500 = errors.server_error
