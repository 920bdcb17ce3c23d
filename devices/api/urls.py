from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from devices.agent.protocol import ENROLL_PATH
from devices.api.enroll import enroll

urlpatterns: list[URLPattern | URLResolver] = [
    path(ENROLL_PATH.removeprefix("/"), enroll, name="agent-enroll"),
]
