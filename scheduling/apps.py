from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_out


class SchedulingConfig(AppConfig):
    name = "scheduling"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        user_logged_out.connect(_close_sockets, dispatch_uid="scheduling.close_sockets")


def _close_sockets(request: Any = None, **kwargs: Any) -> None:
    from scheduling import live  # noqa: PLC0415  (models are there only now)

    if request is not None and request.session.session_key:
        live.signed_out(request.session.session_key)
