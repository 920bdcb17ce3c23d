"""What is not exactly what was signed for this device does not run, and is said not to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devices.agent import protocol
from devices.agent.journal import Journal
from devices.agent.protocol import Outcome, Reject, RejectCode, Start

from .conftest import AgentProcess
from .fake_runs import Run, new_id
from .fake_server import FakeServer

pytestmark = pytest.mark.asyncio(loop_scope="module")
Forge = Callable[[FakeServer, dict[str, Any]], Run]


def altered_payload(server: FakeServer, payload: dict[str, Any]) -> Run:
    run = server.run(payload)
    run.payload = run.payload.replace(b"touch", b"touch ")
    return run


def altered_terms(server: FakeServer, payload: dict[str, Any]) -> Run:
    run = server.run(payload)
    run.terms = run.terms.replace(b'"attempt":1', b'"attempt":2')
    return run


def foreign_signature(server: FakeServer, payload: dict[str, Any]) -> Run:
    run = server.run(payload)
    run.signature = protocol.sign(protocol.new_private_key(), protocol.run_bytes(run.terms))
    return run


def foreign_key(server: FakeServer, payload: dict[str, Any]) -> Run:
    run = foreign_signature(server, payload)
    run.key_id = "ab" * 8
    return run


def signed_for_another_use(server: FakeServer, payload: dict[str, Any]) -> Run:
    run = server.run(payload)
    run.signature = protocol.sign(server.private_key, protocol.update_bytes(run.terms))
    return run


def of_another(name: str) -> Forge:
    return lambda server, payload: server.run(payload, **{name: new_id()})


def under_another_id(server: FakeServer, payload: dict[str, Any]) -> Run:
    run = server.run(payload)
    del server.runs[run.id]
    run.id = new_id()
    server.runs[run.id] = run
    return run


def too_late(server: FakeServer, payload: dict[str, Any]) -> Run:
    return server.run(payload, not_after=server.now - timedelta(hours=1))


def unknown_kind(server: FakeServer, payload: dict[str, Any]) -> Run:
    return server.run(payload, kind="telepathy")


def unknown_field(server: FakeServer, payload: dict[str, Any]) -> Run:
    return server.run({**payload, "only_on_mondays": True})


def unknown_condition(server: FakeServer, payload: dict[str, Any]) -> Run:
    run = server.run(payload)
    terms = {**run.parsed_terms, "only_on_mondays": True}
    run.terms = json.dumps(terms).encode()
    run.signature = protocol.sign(server.private_key, protocol.run_bytes(run.terms))
    return run


def unsigned_account(server: FakeServer, payload: dict[str, Any]) -> Run:
    return server.run({**payload, "run_as": "root"})


def forbidden_account(server: FakeServer, payload: dict[str, Any]) -> Run:
    return server.run(payload, run_as="nobody")


CASES: list[tuple[Forge, RejectCode]] = [
    (altered_payload, RejectCode.DIGEST_MISMATCH),
    (altered_terms, RejectCode.BAD_SIGNATURE),
    (foreign_signature, RejectCode.BAD_SIGNATURE),
    (foreign_key, RejectCode.BAD_SIGNATURE),
    (signed_for_another_use, RejectCode.BAD_SIGNATURE),
    (of_another("device"), RejectCode.BAD_SIGNATURE),
    (of_another("server_id"), RejectCode.BAD_SIGNATURE),
    (under_another_id, RejectCode.BAD_SIGNATURE),
    (too_late, RejectCode.TOO_LATE),
    (unknown_kind, RejectCode.UNKNOWN_KIND),
    (unknown_field, RejectCode.UNKNOWN_KIND),
    (unknown_condition, RejectCode.UNKNOWN_KIND),
    (unsigned_account, RejectCode.DIGEST_MISMATCH),
    (forbidden_account, RejectCode.POLICY),
]


@pytest.mark.parametrize(("forge", "code"), CASES, ids=[f"{n}-{c[1]}" for n, c in enumerate(CASES)])
async def test_it_is_rejected_with_the_reason_and_nothing_runs(
    device: FakeServer, standing_agent: AgentProcess, tmp_path: Path, forge: Forge, code: RejectCode
) -> None:
    run = forge(device, {"command": f"touch {tmp_path}/ran"})

    await device.grant(run)
    reject = await device.refused(run)

    assert reject.code is code, reject.detail
    await one_more_runs(device)
    assert not device.frames(Start, run)
    assert not (tmp_path / "ran").exists()
    assert run.id not in Journal(standing_agent.state.journal, is_only_read=True).entries


async def one_more_runs(device: FakeServer) -> None:
    """By its end, whatever would have been started before it has been."""
    run = await device.do({"command": "exit 0"})
    assert (await device.ended(run)).outcome is Outcome.SUCCEEDED


async def test_a_rejection_is_repeated_until_it_is_acknowledged(device: FakeServer) -> None:
    run = unknown_kind(device, {})
    device.acks_rejects = False

    await device.grant(run)
    await device.saw(Reject, run, 3)
    device.acks_rejects = True
    said = len(device.frames(Reject, run))
    await device.saw(Reject, run, said + 1)
    await one_more_runs(device)  # it has heard the acknowledgement before
    said = len(device.frames(Reject, run))
    await one_more_runs(device)

    assert len(device.frames(Reject, run)) == said


async def test_what_was_claimed_is_not_replaced_by_a_forgery(device: FakeServer) -> None:
    later = {"not_before": device.now + timedelta(seconds=0.5)}
    run = await device.do({"command": "echo right"}, **later)
    forged = replace(run, payload=b'{"command": "echo wrong"}')

    await device.send(forged.grant)
    result = await device.ended(run)

    assert (result.outcome, run.output) == (Outcome.SUCCEEDED, b"right\n")
    assert not device.frames(Reject, run)


async def test_a_run_waits_for_the_time_it_may_begin(device: FakeServer) -> None:
    soon = device.now + timedelta(seconds=0.5)

    run = await device.do({"command": "exit 0"}, not_before=soon)
    await device.saw(Start, run)

    assert device.now >= soon


async def test_the_devices_own_rules_are_read_for_every_run(
    device: FakeServer, standing_agent: AgentProcess
) -> None:
    rules = standing_agent.state.path / "policy.toml"
    rules.write_text('shells = ["bash"]\nlongest_timeout_seconds = 30\n')
    try:
        plain = await device.do({"command": "exit 0"}, timeout_seconds=30)
        long = await device.do({"command": "exit 0", "shell": "bash"}, timeout_seconds=31)
        fine = await device.do({"command": "exit 0", "shell": "bash"}, timeout_seconds=30)

        assert (await device.refused(plain)).detail == "shell sh is not allowed on this device"
        assert "30 s" in (await device.refused(long)).detail
        assert (await device.ended(fine)).outcome is Outcome.SUCCEEDED
    finally:
        rules.unlink()
