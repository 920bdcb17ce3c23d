"""Where the apps meet: what `devices` is handed from above, and the WebSocket routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.urls import path

from devices.agent.protocol import SOCKET_PATH

if TYPE_CHECKING:
    from django.urls import URLPattern

    from devices.hub import Hub


def hand_over() -> None:
    """Gives `accounts` and `devices` what they need from `scheduling`: the keeper of runs, and who
    tells open pages."""
    from accounts import telling  # noqa: PLC0415
    from devices import upward  # noqa: PLC0415
    from scheduling import ledger, live, schedules  # noqa: PLC0415

    telling.hand_over(live.changed)
    upward.hand_over(
        upward.Upward(
            ledger=ledger,
            forget_device=schedules.forget_device,
            forget_group=schedules.forget_group,
        )
    )


def new_hub() -> Hub:
    """The hub of a web process; `deployx.lifespan` starts and stops it."""
    from devices.hub import Hub  # noqa: PLC0415
    from scheduling import ledger  # noqa: PLC0415

    return Hub(ledger)


def websocket_urlpatterns(hub: Hub) -> list[URLPattern]:
    from devices.consumers import AgentConsumer, Handshakes  # noqa: PLC0415
    from scheduling import board, consumers  # noqa: PLC0415

    agents = AgentConsumer.as_asgi(
        hub=hub, handshakes=Handshakes(settings.DEPLOYX_HANDSHAKES_PER_SECOND)
    )
    browsers = consumers.LiveConsumer.as_asgi(board=board.Board())
    return [
        path(SOCKET_PATH.removeprefix("/"), agents),
        path(consumers.PATH.removeprefix("/"), browsers),
    ]
