from __future__ import annotations

from django.urls import path

from accounts import views

urlpatterns = [
    path("settings/tokens/", views.token_list, name="token-list"),
    path("settings/tokens/<uuid:pk>/revoke", views.token_revoke, name="token-revoke"),
]
