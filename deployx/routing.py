"""Where the apps meet: what `devices` is handed from above, and the WebSocket routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.urls import URLPattern


def hand_over() -> None:
    """Gives `devices` the keeper of runs and what else it needs from `scheduling`."""
    from devices import upward  # noqa: PLC0415
    from scheduling import ledger, live, schedules  # noqa: PLC0415

    upward.hand_over(
        upward.Upward(
            ledger=ledger,
            forget_device=schedules.forget_device,
            devices_changed=lambda ids: live.changed("device", ids),
        )
    )


def websocket_urlpatterns() -> list[URLPattern]:
    return []
