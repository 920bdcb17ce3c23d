from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from deployx import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("", include("devices.api.urls")),
]
