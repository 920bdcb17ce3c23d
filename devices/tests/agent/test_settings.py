"""What the agent's environment may change, its clock, its pauses and who it takes for whom."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta

import pytest

from devices.agent.addresses import is_loopback, objection
from devices.agent.client import reconnect_pause
from devices.agent.clock import ServerClock
from devices.agent.config import ConfigError, Settings
from devices.agent.journal import ShimMark
from devices.agent.platforms import boot_id, start_mark
from devices.agent.runner import Runner
from devices.agent.session import around

TOLD = datetime(2027, 1, 31, tzinfo=UTC)


def test_without_variables_the_protocols_own_intervals_hold() -> None:
    settings = Settings.from_environment({})

    assert (settings.reconnect_min_seconds, settings.reconnect_max_seconds) == (1, 60)
    assert (settings.repeat_seconds, settings.kill_grace_seconds) == (5, 10)
    assert (settings.heartbeat_seconds, settings.poll_seconds) == (None, None)
    assert str(settings.policy) == "/etc/deployx-agent/policy.toml"
    assert settings.policy_is_default


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "inf"])
def test_a_wrong_variable_is_named(value: str) -> None:
    with pytest.raises(ConfigError, match="DEPLOYX_AGENT_POLL_SECONDS"):
        Settings.from_environment({"DEPLOYX_AGENT_POLL_SECONDS": value})


def test_it_comes_back_anywhere_between_at_once_and_a_limit_that_doubles() -> None:
    random.seed(7)

    for tries, limit in ((0, 1), (1, 2), (3, 8), (5, 32), (6, 60), (1_000, 60)):
        pauses = [reconnect_pause(tries, Settings()) for _ in range(500)]
        assert 0 <= min(pauses) < 0.05 * limit
        assert 0.95 * limit < max(pauses) <= limit


def test_an_interval_varies_by_a_fifth() -> None:
    random.seed(7)

    seconds = [around(20) for _ in range(500)]

    assert 16 <= min(seconds) < 16.5
    assert 23.5 < max(seconds) <= 24


def test_time_is_the_servers_carried_on_by_a_clock_nobody_sets() -> None:
    reading = 1_000.0
    clock = ServerClock(lambda: reading)
    assert clock.now() is None

    clock.tell(TOLD)
    reading += 90

    assert clock.now() == TOLD + timedelta(seconds=90)


@pytest.mark.parametrize(
    ("url", "is_fine"),
    [
        ("wss://deployx.example/ws/agent", True),
        ("ws://deployx.example/ws/agent", False),
        ("ws://127.0.0.1:8000/ws/agent", True),
        ("ws://[::1]:8000/ws/agent", True),
        ("ws://localhost/ws/agent", True),
        ("ws://localhost.example/ws/agent", False),
        ("ws://127.0.0.1.example/ws/agent", False),
        ("ws://127.0.0.1@example.com/ws/agent", False),
        ("https://deployx.example", False),
        ("wss://", False),
    ],
)
def test_plain_connections_are_for_the_machine_itself(url: str, is_fine: bool) -> None:
    assert (objection(url, "wss", "ws") is None) == is_fine


def test_loopback_is_a_whole_network() -> None:
    assert is_loopback("http://127.8.9.10/")
    assert not is_loopback("http://128.0.0.1/")


def test_a_process_is_known_by_its_pid_its_start_and_its_boot() -> None:
    pid, start = os.getpid(), start_mark(os.getpid())
    assert start is not None
    runner = Runner()

    assert runner.is_alive(ShimMark(pid, start, boot_id()))
    assert not runner.is_alive(ShimMark(pid, str(int(start) + 1), boot_id()))
    assert not runner.is_alive(ShimMark(pid, start, "another boot"))
    assert not runner.is_alive(ShimMark(2**22 + 1, start, boot_id()))
