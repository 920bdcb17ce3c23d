"""Answers that come late and are meant for something else."""

from __future__ import annotations

from tests.protocol_model.crashes import DeviceState
from tests.protocol_model.device import Device


def ended(device: Device, outcome: str) -> DeviceState:
    """A run that has ended while the agent is connected."""
    state = device.begin()
    for word, what in (
        ("resume", None), ("introduce", 1), ("welcome", ()), ("grant", 0), ("go", 0),
        ("exits", (0, outcome)),
    ):  # fmt: skip
        state = device.step(state, word, what).state
    return state


def test_lost_is_no_answer_to_an_outcome_that_the_device_knows(device: Device) -> None:
    state = device.step(ended(device, "succeeded"), "ack", (0, "lost")).state
    assert len(device.journal(state).entries) == 1
    state = device.step(state, "ack", (0, "succeeded")).state
    assert len(device.journal(state).entries) == 0


def test_lost_is_the_answer_to_an_outcome_that_nobody_knows(device: Device) -> None:
    state = device.step(ended(device, "unknown"), "ack", (0, "lost")).state
    assert len(device.journal(state).entries) == 0
