"""The doors under `/api/`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from devices.agent.protocol import ENROLL_PATH
from devices.api.devices import DeviceDoor
from devices.api.enroll import enroll
from devices.api.enrollment_tokens import EnrollmentTokenDoor
from devices.api.groups import GroupDoor
from devices.api.software import DeviceSoftware

urlpatterns: list[URLPattern | URLResolver] = [
    path(ENROLL_PATH.removeprefix("/api/"), enroll, name="agent-enroll"),
    path("devices", DeviceDoor.as_view({"get": "list"}), name="api-device-list"),
    path(
        "devices/<uuid:pk>",
        DeviceDoor.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="api-device",
    ),
    path(
        "devices/<uuid:pk>/revoke",
        DeviceDoor.as_view({"post": "revoke"}),
        name="api-device-revoke",
    ),
    path(
        "devices/<uuid:pk>/software",
        DeviceSoftware.as_view({"get": "list"}),
        name="api-device-software",
    ),
    path(
        "devices/<uuid:pk>/update-agent",
        DeviceDoor.as_view({"post": "update_agent"}),
        name="api-device-update-agent",
    ),
    path("groups", GroupDoor.as_view({"get": "list", "post": "create"}), name="api-group-list"),
    path("groups/preview", GroupDoor.as_view({"post": "preview"}), name="api-group-preview"),
    path(
        "groups/<uuid:pk>",
        GroupDoor.as_view(
            {
                "get": "retrieve",
                "put": "update",
                "patch": "partial_update",
                "delete": "destroy",
            }
        ),
        name="api-group",
    ),
    path(
        "enrollment-tokens",
        EnrollmentTokenDoor.as_view({"get": "list", "post": "create"}),
        name="api-enrollment-token-list",
    ),
    path(
        "enrollment-tokens/<uuid:pk>/revoke",
        EnrollmentTokenDoor.as_view({"post": "revoke"}),
        name="api-enrollment-token-revoke",
    ),
]
