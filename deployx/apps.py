from __future__ import annotations

from django.apps import AppConfig


class DeployxConfig(AppConfig):
    """The composition root, installed for its commands and to hand the apps to each other."""

    name = "deployx"

    def ready(self) -> None:
        from deployx import routing  # noqa: PLC0415

        routing.hand_over()
