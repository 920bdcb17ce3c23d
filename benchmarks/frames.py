"""The frames of one run, built once by the product's own protocol; a run's id is put in each time."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from devices.agent import protocol

_NOBODY = str(UUID(int=0))
_PAYLOAD = b'{"commands":["df -h"],"shell":null,"stop_on_failure":true}'
_SHA256 = hashlib.sha256(_PAYLOAD).hexdigest()


def _terms() -> bytes:
    now = datetime.now(UTC)
    return protocol.build_terms(
        protocol.Terms(
            server_id=str(uuid4()), run=str(uuid4()), device=str(uuid4()), execution=str(uuid4()),
            task=str(uuid4()), attempt=1, scheduled_for=now, kind="command",
            payload_sha256=_SHA256, files=(), run_as=None, timeout_seconds=3_600,
            not_before=now, not_after=now + timedelta(days=1),
        )
    )  # fmt: skip


def _object(frame: protocol.Frame) -> dict[str, Any]:
    return dict(json.loads(protocol.encode(frame)))


_GRANT = _object(protocol.Grant(_NOBODY, "0" * 16, _terms(), bytes(64), _PAYLOAD))
_START = _object(protocol.Start(_NOBODY))
_GO = _object(protocol.Go(_NOBODY, 3_600))
_RESULT = _object(
    protocol.Result(_NOBODY, protocol.Outcome.SUCCEEDED, 0, {"summary": "done"}, 1_024, _SHA256)
)
_ACK = _object(protocol.Ack(_NOBODY, "succeeded"))


def grant(run: str) -> str:
    return json.dumps({**_GRANT, "run": run})


def start(run: str) -> str:
    return json.dumps({**_START, "run": run})


def go(run: str) -> str:
    return json.dumps({**_GO, "run": run})


def result(run: str) -> str:
    return json.dumps({**_RESULT, "run": run})


def ack(run: str, state: str) -> str:
    return json.dumps({**_ACK, "run": run, "state": state})
