"""The agent as a process, against a server that speaks the protocol."""

from __future__ import annotations

import hashlib

from devices.agent.protocol import Outcome

from .conftest import AgentProcess
from .fake_server import FakeServer


async def test_a_granted_command_runs_and_its_output_and_result_arrive(
    server: FakeServer, agent: AgentProcess
) -> None:
    run = await server.do({"command": "echo hello; echo oops >&2; exit 3"})

    result = await server.ended(run)

    assert (result.outcome, result.exit_code) == (Outcome.FAILED, 3)
    assert run.streams == {"stdout": b"hello\n", "stderr": b"oops\n"}
    assert result.output_length == 11
    assert result.output_sha256 == hashlib.sha256(run.output).hexdigest()
