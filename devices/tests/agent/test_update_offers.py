"""What an agent takes for an offer of another version of itself."""

from __future__ import annotations

from typing import Any

import pytest

from devices.agent import __version__, protocol
from devices.agent.config import StateDir
from devices.agent.identity import load_server
from devices.agent.protocol import Update
from devices.agent.updating import UpdateFailed, read_offer

from .conftest import AgentProcess
from .fake_server import FakeServer
from .test_updating import NEWER, offer


def refusal(update: Update, server: FakeServer, state: StateDir) -> str:
    with pytest.raises(UpdateFailed) as refused:
        read_offer(update, load_server(state))
    return str(refused.value)


async def test_only_the_servers_own_newer_offer_is_one(
    server: FakeServer, enrolled: AgentProcess, state: StateDir
) -> None:
    good = offer(server, b"wheel")
    assert read_offer(good, load_server(state)).version == NEWER
    forged = protocol.sign(protocol.new_private_key(), protocol.update_bytes(good.terms))
    assert "signature" in refusal(Update(good.key_id, good.terms, forged), server, state)
    altered = good.terms.replace(b"1.0.1", b"1.0.2")
    assert "signature" in refusal(Update(good.key_id, altered, good.signature), server, state)
    as_run = protocol.sign(server.private_key, protocol.run_bytes(good.terms))
    assert "signature" in refusal(Update(good.key_id, good.terms, as_run), server, state)
    assert "not trusted" in refusal(Update("0" * 16, good.terms, good.signature), server, state)
    with pytest.raises(UpdateFailed, match="not trusted"):
        read_offer(good, None)


@pytest.mark.parametrize("version", [__version__, "0.9.9", "1.0", "1.0.0.0"])
async def test_an_old_offer_sent_again_changes_nothing(
    server: FakeServer, enrolled: AgentProcess, state: StateDir, version: str
) -> None:
    assert "not newer" in refusal(offer(server, b"wheel", version), server, state)


@pytest.mark.parametrize(
    "terms",
    [
        {"version": "../../etc"},
        {"version": 2},
        {"sha256": "0" * 63},
        {"size": 0},
        {"size": 65 * 1024 * 1024},
        {"size": True},
        {"more": 1},
    ],
)
async def test_an_offer_that_cannot_be_read_is_none(
    server: FakeServer, enrolled: AgentProcess, state: StateDir, terms: dict[str, Any]
) -> None:
    assert "cannot be read" in refusal(offer(server, b"wheel", **terms), server, state)
