"""Who is there, and what ends a connection from the server's side."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from devices import fleet, presence
from devices.agent import protocol
from devices.hub import Link, upkeep
from devices.models import Device
from devices.tests.conftest import Web, in_thread, make_agent, make_device, until
from devices.tests.fakes import FakeAgent
from devices.tests.test_hub_admission import code


async def stored(agent: FakeAgent) -> Device:
    return await in_thread(lambda: Device.objects.get(pk=agent.device))


async def leaves(web: Web, verb: Any) -> int:
    """The code with which a connected device is sent away when `verb` is done to it."""
    agent = await web.connect(await make_agent())
    device = await stored(agent)
    admin = await in_thread(lambda: User.objects.create_superuser("admin"))
    await in_thread(lambda: verb(device, admin))
    web.hub.wake()
    return await code(agent.socket)


async def test_a_revoked_device_is_disconnected(web: Web) -> None:
    assert await leaves(web, fleet.revoke) == protocol.CLOSE_REVOKED


async def test_a_revocation_that_no_hint_tells_of_is_noticed_within_five_seconds(web: Web) -> None:
    assert upkeep.CHECK_SECONDS <= 5
    agent = await web.connect(await make_agent())
    device = await stored(agent)
    admin = await in_thread(lambda: User.objects.create_superuser("admin"))
    await in_thread(lambda: fleet.revoke(device, admin))
    assert await code(agent.socket) == protocol.CLOSE_REVOKED


async def test_of_more_sessions_than_are_looked_at_at_once_each_is_disconnected(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "CHECKED_AT_ONCE", 2)
    agents = [await web.connect(await make_agent()) for _ in range(3)]
    devices = [await stored(agent) for agent in agents]
    admin = await in_thread(lambda: User.objects.create_superuser("admin"))
    for device in devices:
        await in_thread(partial(fleet.revoke, device, admin))
    web.hub.wake()
    assert {await code(agent.socket) for agent in agents} == {protocol.CLOSE_REVOKED}


async def test_a_deleted_device_is_disconnected(web: Web) -> None:
    assert await leaves(web, fleet.delete) == protocol.CLOSE_REVOKED


async def test_a_revoked_device_cannot_come_back(web: Web) -> None:
    agent = await web.connect(await make_agent())
    device = await stored(agent)
    admin = await in_thread(lambda: User.objects.create_superuser("admin"))
    await in_thread(lambda: fleet.revoke(device, admin))
    await agent.say_hello(await web.open())
    assert await code(agent.socket) == protocol.CLOSE_REVOKED
    assert not (await stored(agent)).is_online


async def test_whoever_was_offline_is_told_of_when_it_comes_online(web: Web) -> None:
    agent = await web.connect(await make_agent())
    await until(lambda: web.ledger.came_online == [agent.device])
    assert (await stored(agent)).status == Device.Status.ONLINE


async def test_who_was_online_all_along_is_not_told_of_again(web: Web) -> None:
    agent = await web.connect(await make_agent())
    await until(lambda: web.ledger.came_online)
    await web.connect(agent)
    other = await web.connect(await make_agent("web-2"))
    await until(lambda: other.device in web.ledger.came_online)
    assert web.ledger.came_online == [agent.device, other.device]


async def test_a_heartbeat_is_a_sign_of_life(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "PRESENCE_EVERY_SECONDS", 0.0)
    agent = await web.connect(await make_agent())
    await until(lambda: web.ledger.came_online == [agent.device])
    before = timezone.now()
    await in_thread(lambda: Device.objects.filter(pk=agent.device).update(is_online=False))
    await agent.send(protocol.Heartbeat(0, 0.0))

    async def is_seen() -> bool:
        device = await stored(agent)
        return device.is_online and device.last_seen_at is not None and device.last_seen_at > before

    await until(is_seen)
    await until(lambda: web.ledger.came_online.count(agent.device) == 2)


async def test_new_facts_are_stored(web: Web) -> None:
    agent = await web.connect(await make_agent())
    await agent.send(protocol.Facts({"hostname": "renamed", "memory": float(2**70)}))

    async def are_stored() -> bool:
        return (await stored(agent)).hostname == "renamed"

    await until(are_stored)


async def test_a_connection_that_is_only_half_there_is_given_up(web: Web) -> None:
    agent = await web.connect(await make_agent())
    assert web.hub.report().connected == 1
    link_of(web, agent).heard_at -= upkeep.SILENT_SECONDS + 1
    web.hub._upkeep._close_silent()
    assert await code(agent.socket) == 1001
    assert web.hub.report().connected == 0


async def test_who_neither_speaks_nor_reads_holds_nothing_up(web: Web) -> None:
    agent = await web.connect(await make_agent())
    link = link_of(web, agent)
    reader = link._reader
    assert reader is not None
    await until(lambda: _filled(link))
    link.heard_at -= upkeep.SILENT_SECONDS + 1
    web.hub._upkeep._close_silent()
    await until(reader.done)
    assert web.hub.report().connected == 0
    assert agent.socket is not None
    agent.socket.transport.abort()


def _filled(link: Link) -> bool:
    """Sends until the other end's buffers and ours are full."""
    if not link.is_backed_up:
        for _ in range(200):
            link.send(protocol.Grant(str(uuid4()), "0" * 16, b"", bytes(64), bytes(64 * 1024)))
        return False
    return True


def link_of(web: Web, agent: FakeAgent) -> Link:
    link = web.hub._register.of(agent.device)
    assert link is not None
    return link


@pytest.mark.django_db
class TestSweep:
    """`presence.sweep`, which the workers' reconcile calls."""

    def seen(self, seconds_ago: int) -> Device:
        moment = timezone.now() - timedelta(seconds=seconds_ago)
        return make_device(is_online=True, last_seen_at=moment)[0]

    def test_silence_of_a_minute_is_offline(self) -> None:
        assert presence.OFFLINE_AFTER_SECONDS == 60
        silent, heard = self.seen(61), self.seen(0)
        assert presence.sweep(None) == [silent.pk]
        for device in (silent, heard):
            device.refresh_from_db()
        assert (silent.status, heard.status) == ("offline", "online")

    def test_nobody_is_declared_offline_soon_after_a_web_process_started(self) -> None:
        assert presence.QUIET_AFTER_WEB_START_SECONDS == 90
        self.seen(61)
        assert presence.sweep(timezone.now()) == []
        assert len(presence.sweep(timezone.now() - timedelta(seconds=91))) == 1

    def test_a_revoked_device_is_not_seen(self) -> None:
        device = make_device(revoked_at=timezone.now())[0]
        assert presence.seen([device.pk]).written == set()

    def test_counts_add_up(self) -> None:
        self.seen(5)
        make_device("off", last_seen_at=timezone.now())
        make_device("new")
        make_device("out", revoked_at=timezone.now(), last_seen_at=timezone.now(), is_online=True)
        assert presence.counts() == presence.Counts(1, 1, 1, 1)
