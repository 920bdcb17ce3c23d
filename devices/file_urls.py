"""What a machine fetches before it is a device: public, and no page for people."""

from __future__ import annotations

from django.urls import path

from devices.installing import SCRIPT_PATH
from devices.views import agent_files

urlpatterns = [
    path(SCRIPT_PATH.removeprefix("/"), agent_files.install_script, name="agent-install-script"),
    path("agent/<str:name>", agent_files.agent_wheel, name="agent-wheel"),
]
