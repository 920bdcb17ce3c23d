"""Which agents are updated, how many at a time, and when that is stopped."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.errors import NotAllowed, StateConflict
from devices import agent_updates, key_rotation, keys, wheel
from devices.agent import __version__, protocol
from devices.ledger_port import Session
from devices.models import AgentRelease, AgentUpdate, Device, DeviceGroup
from devices.tests.conftest import Told, Web, in_thread, make_agent, make_device, until
from devices.tests.fakes import FakeLedger

pytestmark = pytest.mark.django_db
OLD = "0.9.0"


@pytest.fixture(autouse=True)
def _signed(request: pytest.FixtureRequest, ledger: FakeLedger) -> None:
    """As worker and beat do it."""
    if "web" not in request.fixturenames:
        keys.ensure_key()
        agent_updates.sign()


def device(name: str = "web-1", version: str = OLD, **fields: Any) -> Device:
    return make_device(
        name, agent_version=version, session=uuid4(), last_seen_at=timezone.now(), **fields
    )[0]


def offered(*devices: Device) -> set[Any]:
    chosen, _frame = agent_updates.offer([Session(one.pk, one.session) for one in devices])  # type: ignore[arg-type]
    return {session.device for session in chosen}


def state(one: Device) -> tuple[str, str]:
    found = AgentUpdate.objects.get(device=one)
    return found.status, found.message


def tell_failure(one: Device, failures: int, why: str = "no room") -> None:
    told = {"sha256": wheel.built().sha256, "why": why, "failures": failures}
    Device.objects.filter(pk=one.pk).update(facts={"update_failed": told})


def test_the_offer_is_signed_and_names_the_wheel_that_is_served() -> None:
    one = device()
    agent_updates.ask(Device.objects.all(), None)
    _chosen, frame = agent_updates.offer([Session(one.pk, uuid4())])
    assert frame is not None
    message = protocol.update_bytes(frame.terms)
    assert protocol.verify(keys.current_public_key(), frame.signature, message)
    packed = wheel.built()
    assert protocol.parse_object(frame.terms) == {
        "version": __version__,
        "sha256": packed.sha256,
        "size": len(packed.content),
    }


def test_only_older_agents_of_devices_that_are_there_are_asked(admin: User) -> None:
    wanted = device("old")
    device("current", __version__)
    device("newer", "99.0")
    device("odd", "of my own")
    device("gone", revoked_at=timezone.now())
    assert agent_updates.ask(Device.objects.all(), admin) == 1
    assert AgentUpdate.objects.get().device == wanted


def test_who_is_no_administrator_asks_for_nothing(operator: User) -> None:
    one = device()
    with pytest.raises(NotAllowed):
        agent_updates.ask_one(one, operator)
    assert not AgentUpdate.objects.exists()


def test_what_is_under_way_is_not_asked_for_again(admin: User) -> None:
    one = device()
    agent_updates.ask_one(one, admin)
    with pytest.raises(StateConflict):
        agent_updates.ask_one(one, admin)


def test_the_pace_is_kept(settings: Any) -> None:
    settings.DEPLOYX_AGENT_UPDATES_PER_MINUTE = 2
    devices = [device(f"web-{number}") for number in range(5)]
    agent_updates.ask(Device.objects.all(), None)
    assert len(offered(*devices)) == 2
    assert offered(*devices) == set()
    AgentUpdate.objects.filter(status="offered").update(
        offered_at=timezone.now() - timedelta(seconds=61)
    )
    assert len(offered(*devices)) == 2


def test_none_a_minute_turns_it_off(settings: Any) -> None:
    settings.DEPLOYX_AGENT_UPDATES_PER_MINUTE = 0
    one = device()
    agent_updates.ask(Device.objects.all(), None)
    assert offered(one) == set()


@pytest.mark.parametrize("fields", [{"in_recovery": True}, {"is_ready": False}])
def test_a_device_that_takes_nothing_new_is_left_alone(fields: dict[str, Any]) -> None:
    one = device(**fields)
    agent_updates.ask(Device.objects.all(), None)
    assert offered(one) == set()


def test_until_the_new_key_has_signed_it_nothing_is_offered() -> None:
    one = device()
    agent_updates.ask(Device.objects.all(), None)
    key_rotation.rotate(lambda _: None, lambda _: None)
    assert offered(one) == set()
    assert agent_updates.sign() == 1
    assert offered(one) == {one.pk}
    assert AgentRelease.objects.get().key_id == keys.current_signer().key_id


def test_it_is_done_when_the_new_version_says_hello() -> None:
    one = device()
    agent_updates.ask(Device.objects.all(), None)
    offered(one)
    assert agent_updates.settle() == 0
    Device.objects.update(agent_version=__version__)
    assert agent_updates.settle() == 1
    assert state(one) == ("done", "")


def test_a_failure_is_told_and_only_a_person_tries_again() -> None:
    one = device()
    agent_updates.ask(Device.objects.all(), None)
    offered(one)
    tell_failure(one, 1)
    assert agent_updates.settle() == 1
    assert state(one) == ("failed", "no room")
    assert offered(one) == set()

    agent_updates.ask(Device.objects.all(), None)
    assert offered(one) == {one.pk}
    assert agent_updates.settle() == 0
    tell_failure(one, 2, "still none")
    agent_updates.settle()
    assert state(one) == ("failed", "still none")


def test_a_trial_that_said_hello_and_was_given_up_has_failed() -> None:
    devices = [device(f"web-{number}") for number in range(5)]
    agent_updates.ask(Device.objects.all(), None)
    offered(*devices)
    Device.objects.update(agent_version=__version__)
    assert agent_updates.settle() == 5
    Device.objects.update(agent_version=OLD)
    assert agent_updates.settle() == 0
    for one in devices:
        tell_failure(one, 1)
    assert agent_updates.settle() == 5
    assert state(devices[0]) == ("failed", "no room")
    assert "5 devices could not be updated" in agent_updates.why_stopped()


def test_what_became_older_again_long_after_it_was_updated_has_not_failed() -> None:
    one = device()
    agent_updates.ask(Device.objects.all(), None)
    offered(one)
    Device.objects.update(agent_version=__version__)
    agent_updates.settle()
    AgentUpdate.objects.update(ended_at=timezone.now() - timedelta(days=2))
    Device.objects.update(agent_version=OLD)
    tell_failure(one, 1)
    assert agent_updates.settle() == 0
    assert state(one) == ("done", "")


def test_why_it_failed_is_told_in_one_line_without_what_moves_a_terminal() -> None:
    one = device()
    agent_updates.ask(Device.objects.all(), None)
    offered(one)
    tell_failure(one, 1, "no\nroom\x1b[2J " + "x" * 600)
    agent_updates.settle()
    said = state(one)[1]
    assert said.startswith("no room[2J xxx")
    assert len(said) == 500


def test_an_offer_that_is_not_answered_is_repeated_and_then_given_up() -> None:
    one = device()
    agent_updates.ask(Device.objects.all(), None)
    for _ in range(agent_updates.MOST_OFFERS):
        assert offered(one) == {one.pk}
        long_ago = timezone.now() - timedelta(seconds=agent_updates.ANSWER_SECONDS + 61)
        AgentUpdate.objects.update(offered_at=long_ago)
    assert offered(one) == set()
    agent_updates.settle()
    assert state(one)[0] == "failed"


def test_where_it_goes_wrong_it_stops_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    devices = [device(f"web-{number}") for number in range(7)]
    agent_updates.ask(Device.objects.all(), None)
    broken = devices[:5]
    offered(*broken)
    for one in broken:
        tell_failure(one, 1)
    agent_updates.settle()
    assert offered(*devices) == set()
    call_command("agents", "status")
    said = capsys.readouterr().out
    assert "None is offered at present: 5 devices could not be updated." in said
    assert "web-0: no room" in said


def test_a_share_of_the_fleet_updates_by_itself(settings: Any) -> None:
    for number in range(60):
        device(f"web-{number}")
    assert agent_updates.ask_share() == 0
    settings.DEPLOYX_AGENT_UPDATE_PERCENT = 30
    agent_updates.ask_share()
    some = set(AgentUpdate.objects.values_list("device", flat=True))
    assert agent_updates.ask_share() == 0
    settings.DEPLOYX_AGENT_UPDATE_PERCENT = 100
    agent_updates.ask_share()
    everybody = set(AgentUpdate.objects.values_list("device", flat=True))
    assert some < everybody
    assert len(everybody) == 60


def test_a_share_never_tries_a_failed_one_again(settings: Any) -> None:
    settings.DEPLOYX_AGENT_UPDATE_PERCENT = 100
    one = device()
    agent_updates.ask_share()
    AgentUpdate.objects.update(status="failed")
    assert agent_updates.ask_share() == 0
    assert state(one)[0] == "failed"


def test_by_command_devices_groups_or_a_share_are_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second, third = device("a"), device("b"), device("c")
    DeviceGroup.objects.create(name="db").devices.add(third)
    call_command("agents", "update", "--device", "a", "--device", str(second.pk))
    assert "asked for: 2." in capsys.readouterr().out
    call_command("agents", "update", "--group", "db")
    assert AgentUpdate.objects.count() == 3
    call_command("agents", "stop")
    assert not AgentUpdate.objects.exists()
    call_command("agents", "update", "--all", "--percent", "34")
    assert AgentUpdate.objects.count() == 2
    with pytest.raises(CommandError, match="no device"):
        call_command("agents", "update", "--device", "nobody")
    with pytest.raises(CommandError, match="no group"):
        call_command("agents", "update", "--group", "nobody")
    asked = set(AgentUpdate.objects.values_list("device", flat=True))
    assert asked == set(sorted([first.pk, second.pk, third.pk])[:2])


def test_the_page_has_it_for_administrators_alone(
    admin: User, operator: User, web_group: DeviceGroup, client: Client
) -> None:
    one = device()
    web_group.devices.add(one)
    path = f"/devices/{one.pk}/update-agent"
    client.force_login(operator)
    assert client.post(path).status_code == 403
    assert path not in client.get(one.get_absolute_url()).content.decode()
    client.force_login(admin)
    assert path in client.get(one.get_absolute_url()).content.decode()
    assert client.post(path).status_code == 302
    shown = client.get(one.get_absolute_url()).content.decode()
    assert path not in shown
    assert f"→ {__version__}" in shown


async def test_a_connected_agent_is_sent_the_offer_once(web: Web) -> None:
    agent = await web.connect(await make_agent())
    await in_thread(agent_updates.sign)

    def ask() -> int:
        Device.objects.update(agent_version=OLD)
        return agent_updates.ask(Device.objects.all(), None)

    assert await in_thread(ask) == 1
    await web.hub._upkeep._offer_updates()
    await web.hub._upkeep._offer_updates()
    update = await agent.receive(protocol.Update)
    assert update.key_id == web.ledger.key_id
    await agent.send(protocol.Heartbeat(0, 0.0))
    await agent.receive(protocol.HeartbeatAck)


async def test_a_contested_identity_is_written_down_for_its_page(web: Web, told: Told) -> None:
    agent = await make_agent()
    for _ in range(4):
        await web.connect(agent)
    await until(lambda: web.hub.report().contested)
    await web.hub._upkeep._write_contested()
    await web.hub._upkeep._write_contested()

    def noted() -> bool:
        return Device.objects.get(pk=agent.device).contested_at is not None

    assert await in_thread(noted)
    assert told.count(("device", agent.device, set())) == 1
