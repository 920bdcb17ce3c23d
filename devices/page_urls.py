from __future__ import annotations

from django.urls import path

from devices.views import devices, enrolling, groups

urlpatterns = [
    path("devices/", devices.device_list, name="device-list"),
    path("devices/new", enrolling.device_new, name="device-new"),
    path(
        "devices/tokens/<uuid:pk>/revoke",
        enrolling.enrollment_token_revoke,
        name="enrollment-token-revoke",
    ),
    path("devices/<uuid:pk>/edit", devices.device_edit, name="device-edit"),
    path("devices/<uuid:pk>/update-agent", devices.device_update_agent, name="device-update-agent"),
    path("groups/", groups.group_list, name="group-list"),
    path("groups/new", groups.group_new, name="group-new"),
    path("groups/preview", groups.group_preview, name="group-preview"),
    path("groups/<uuid:pk>/", groups.group_detail, name="group"),
    path("groups/<uuid:pk>/edit", groups.group_edit, name="group-edit"),
    path("groups/<uuid:pk>/devices", groups.group_devices, name="group-devices"),
    path("groups/<uuid:pk>/people", groups.group_people, name="group-people"),
]
