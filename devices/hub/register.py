"""The connections of this process by device: at most one each, the newest."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import structlog

from devices.agent import protocol
from devices.hub.link import Link
from devices.ledger_port import Session

log = structlog.get_logger(__name__)
RIVALRY_SECONDS = 600.0
RIVALRY_FENCES = 3


class Register:
    def __init__(self) -> None:
        self._links: dict[UUID, Link] = {}
        self._fences: dict[UUID, list[float]] = {}

    def __len__(self) -> int:
        return len(self._links)

    def __iter__(self) -> Iterator[Link]:
        return iter(list(self._links.values()))

    def enter(self, link: Link, session: Session, now: float) -> None:
        """The link becomes its device's one; an earlier one is fenced."""
        link.session = session
        earlier = self._links.get(session.device)
        self._links[session.device] = link
        if earlier is not None:
            self.fence(earlier, now)

    def leave(self, link: Link) -> None:
        if link.session is not None and self._links.get(link.session.device) is link:
            del self._links[link.session.device]

    def of(self, device: UUID) -> Link | None:
        return self._links.get(device)

    def holds(self, link: Link) -> bool:
        return link.session is not None and self._links.get(link.session.device) is link

    def of_session(self, session: Session) -> Link | None:
        link = self._links.get(session.device)
        return link if link is not None and link.session == session else None

    def open(self) -> list[Link]:
        return [link for link in self._links.values() if link.is_open]

    def fence(self, link: Link, now: float) -> None:
        """Closes a link because a newer session of its device was opened, here or elsewhere."""
        self.leave(link)
        link.close(protocol.CLOSE_FENCED)
        if link.session is not None:
            self._note_fence(link.session.device, now)

    def contested(self, now: float) -> set[UUID]:
        """Devices whose live sessions keep fencing each other: two machines with one identity,
        as from a cloned state directory."""
        since = now - RIVALRY_SECONDS
        for device in list(self._fences):
            recent = [moment for moment in self._fences[device] if moment > since]
            if recent:
                self._fences[device] = recent
            else:
                del self._fences[device]
        return {pk for pk, fences in self._fences.items() if len(fences) >= RIVALRY_FENCES}

    def _note_fence(self, device: UUID, now: float) -> None:
        fences = self._fences.setdefault(device, [])
        fences.append(now)
        del fences[:-RIVALRY_FENCES]
        if len(fences) == RIVALRY_FENCES and fences[0] > now - RIVALRY_SECONDS:
            log.warning("device_identity_contested", device=str(device))
