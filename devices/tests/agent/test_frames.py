"""Every frame's exact text, both ways, and what is no frame."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from devices.agent.protocol import (
    MAX_FRAME_BYTES,
    Ack,
    AgentFrame,
    Cancel,
    Challenge,
    Evidence,
    Facts,
    Fetch,
    Frame,
    Giveback,
    Go,
    Grant,
    Heartbeat,
    HeartbeatAck,
    Hello,
    Holding,
    JournalEntry,
    JournalState,
    Limits,
    Outcome,
    Output,
    OutputAck,
    Poll,
    ProtocolError,
    Recall,
    Recalled,
    Reject,
    RejectCode,
    Result,
    ServerKey,
    Source,
    Start,
    Stop,
    Stream,
    Update,
    Verdict,
    VerdictWord,
    Welcome,
    decode_from_agent,
    decode_from_server,
    encode,
)

RUN = "01890000-0000-7000-8000-000000000001"
OTHER = "01890000-0000-7000-8000-000000000002"
SHA = "ab" * 32
WHEN = datetime(2027, 1, 31, 2, 0, 0, 250_000, UTC)
SAID = "2027-01-31T02:00:00.250000Z"
EVIDENCE = Evidence(Outcome.FAILED, 3, {"summary": "exit code 3"}, 11, SHA)
EVIDENCE_TEXT = (
    '{"outcome":"failed","exit_code":3,"detail":{"summary":"exit code 3"},'
    f'"output_length":11,"output_sha256":"{SHA}"}}'
)
KEY = b"k" * 32
KEY_TEXT = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
SIGNATURE = b"s" * 64
SIGNATURE_TEXT = "c3Nz" * 21 + "cw=="

GOLDEN: list[tuple[Frame, str]] = [
    (
        Challenge(KEY, OTHER, WHEN, ("deployx.v1",)),
        f'{{"type":"challenge","nonce":"{KEY_TEXT}","server_id":"{OTHER}",'
        f'"server_time":"{SAID}","protocols":["deployx.v1"]}}',
    ),
    (
        Hello(
            OTHER,
            "deployx.v1",
            "1.0.0",
            {"os": "linux"},
            SIGNATURE,
            (
                JournalEntry(RUN, JournalState.GO),
                JournalEntry(OTHER, JournalState.ENDED, EVIDENCE),
            ),
        ),
        f'{{"type":"hello","device_id":"{OTHER}","protocol":"deployx.v1",'
        f'"agent_version":"1.0.0","facts":{{"os":"linux"}},"signature":"{SIGNATURE_TEXT}",'
        f'"journal":[{{"run":"{RUN}","state":"go"}},'
        f'{{"run":"{OTHER}","state":"ended","result":{EVIDENCE_TEXT}}}]}}',
    ),
    (
        Welcome(
            OTHER,
            Limits(),
            WHEN,
            (ServerKey("ab" * 8, KEY), ServerKey("cd" * 8, KEY, SIGNATURE)),
            (Verdict(RUN, VerdictWord.KEEP),),
        ),
        f'{{"type":"welcome","session":"{OTHER}","limits":{{"heartbeat_seconds":20.0,'
        '"poll_seconds":60.0,"max_runs":4,"output_window_bytes":262144,'
        '"output_bytes_per_second":1048576,"spool_bytes":67108864},'
        f'"server_time":"{SAID}","server_keys":['
        f'{{"key_id":"abababababababab","public_key":"{KEY_TEXT}"}},'
        f'{{"key_id":"cdcdcdcdcdcdcdcd","public_key":"{KEY_TEXT}",'
        f'"signature":"{SIGNATURE_TEXT}"}}],'
        f'"verdicts":[{{"run":"{RUN}","verdict":"keep"}}]}}',
    ),
    (
        Grant(RUN, "ab" * 8, b"terms", SIGNATURE, b"payload"),
        f'{{"type":"grant","run":"{RUN}","key_id":"abababababababab","terms":"dGVybXM=",'
        f'"signature":"{SIGNATURE_TEXT}","payload":"cGF5bG9hZA=="}}',
    ),
    (Start(RUN), f'{{"type":"start","run":"{RUN}"}}'),
    (Go(RUN, 3600), f'{{"type":"go","run":"{RUN}","timeout_seconds":3600}}'),
    (Stop(RUN, "expired"), f'{{"type":"stop","run":"{RUN}","reason":"expired"}}'),
    (
        Reject(RUN, RejectCode.POLICY, "not here"),
        f'{{"type":"reject","run":"{RUN}","code":"policy","detail":"not here"}}',
    ),
    (Giveback(RUN, OTHER), f'{{"type":"giveback","run":"{RUN}","session":"{OTHER}"}}'),
    (Ack(RUN, "succeeded"), f'{{"type":"ack","run":"{RUN}","state":"succeeded"}}'),
    (
        Output(RUN, 7, Stream.STDERR, b"oops\n"),
        f'{{"type":"output","run":"{RUN}","offset":7,"stream":"stderr",'
        '"data":"b29wcwo=","skipped":0}',
    ),
    (OutputAck(RUN, 12), f'{{"type":"output_ack","run":"{RUN}","next":12}}'),
    (
        Result(RUN, Outcome.UNKNOWN, None, {}, 0, SHA),
        f'{{"type":"result","run":"{RUN}","outcome":"unknown","exit_code":null,"detail":{{}},'
        f'"output_length":0,"output_sha256":"{SHA}"}}',
    ),
    (Cancel(RUN), f'{{"type":"cancel","run":"{RUN}"}}'),
    (
        Poll((Holding(RUN, JournalState.CLAIMED),), True),
        f'{{"type":"poll","holding":[{{"run":"{RUN}","state":"claimed"}}],"ready":true}}',
    ),
    (Heartbeat(2, 0.25), '{"type":"heartbeat","running":2,"load":0.25}'),
    (
        HeartbeatAck(WHEN, (RUN,), True),
        f'{{"type":"heartbeat_ack","server_time":"{SAID}","cancel":["{RUN}"],"session_ok":true}}',
    ),
    (Fetch(RUN, SHA), f'{{"type":"fetch","run":"{RUN}","sha256":"{SHA}"}}'),
    (
        Source(RUN, SHA, "https://files.example/1", WHEN),
        f'{{"type":"source","run":"{RUN}","sha256":"{SHA}",'
        f'"url":"https://files.example/1","expires_at":"{SAID}"}}',
    ),
    (Facts({"os": "linux"}), '{"type":"facts","facts":{"os":"linux"}}'),
    (
        Update("ab" * 8, b"terms", SIGNATURE),
        '{"type":"update","key_id":"abababababababab","terms":"dGVybXM=",'
        f'"signature":"{SIGNATURE_TEXT}"}}',
    ),
    (Recall((RUN, OTHER)), f'{{"type":"recall","runs":["{RUN}","{OTHER}"]}}'),
    (
        Recalled((JournalEntry(RUN, JournalState.UNKNOWN, EVIDENCE),), False),
        f'{{"type":"recalled","journal":[{{"run":"{RUN}","state":"unknown",'
        f'"result":{EVIDENCE_TEXT}}}],"more":false}}',
    ),
]


@pytest.mark.parametrize(("frame", "text"), GOLDEN, ids=lambda value: type(value).__name__)
def test_a_frame_is_written_and_read_exactly_so(frame: Frame, text: str) -> None:
    decode = decode_from_agent if isinstance(frame, AgentFrame) else decode_from_server

    assert encode(frame) == text
    assert decode(text) == frame


def test_every_frame_has_its_golden_text() -> None:
    assert {type(frame) for frame, _ in GOLDEN} == set(get_args(Frame))


@pytest.mark.parametrize(("frame", "text"), GOLDEN, ids=lambda value: type(value).__name__)
def test_the_other_end_never_sends_it(frame: Frame, text: str) -> None:
    decode = decode_from_server if isinstance(frame, AgentFrame) else decode_from_agent

    with pytest.raises(ProtocolError, match="unknown type"):
        decode(text)


FITTING: dict[type, tuple[str, ...]] = {
    dict: ("facts", "detail", "limits"),
    bool: ("ready", "session_ok", "more"),
    int: ("exit_code",),
}


@pytest.mark.parametrize(("frame", "text"), GOLDEN, ids=lambda value: type(value).__name__)
def test_no_field_may_be_of_another_type_or_unknown(frame: Frame, text: str) -> None:
    decode = decode_from_agent if isinstance(frame, AgentFrame) else decode_from_server
    raw = json.loads(text)
    values: tuple[Any, ...] = ([[]], {"a": {"b": 1}}, "\0", True, -1, 2**70)

    for name in raw:
        for wrong in values:
            if name not in FITTING.get(type(wrong), ()) or wrong == 2**70:
                with pytest.raises(ProtocolError):
                    decode(json.dumps(raw | {name: wrong}))
    with pytest.raises(ProtocolError, match="unknown field"):
        decode(json.dumps(raw | {"extra": 1}))


@pytest.mark.parametrize(("frame", "text"), GOLDEN, ids=lambda value: type(value).__name__)
def test_no_field_may_be_missing_unless_it_has_a_default(frame: Frame, text: str) -> None:
    decode = decode_from_agent if isinstance(frame, AgentFrame) else decode_from_server
    raw = json.loads(text)

    for name in set(raw) - {"skipped"}:
        rest = {key: value for key, value in raw.items() if key != name}
        with pytest.raises(ProtocolError):
            decode(json.dumps(rest))


def _start(**changes: Any) -> str:
    return json.dumps({"type": "start", "run": RUN} | changes)


BAD = [
    ("", "not JSON"),
    ("nonsense", "not JSON"),
    ("[]", "not a JSON object"),
    ('"start"', "not a JSON object"),
    ("{}", "unknown type"),
    ('{"type":["start"]}', "unknown type"),
    ("[" * 60_000, "not JSON"),
    ('{"type":"heartbeat","running":1,"load":NaN}', "not JSON"),
    ('{"type":"heartbeat","running":1,"load":1e999}', "load"),
    ('{"type":"heartbeat","running":1.0,"load":1}', "running"),
    ('{"type":"heartbeat","running":true,"load":1}', "running"),
    (f'{{"type":"heartbeat","running":{"9" * 5000},"load":1}}', "not JSON"),
    (_start(run="01890000-0000-7000-8000-0000000000AB"), "run"),
    (_start(run=RUN.replace("-", "")), "run"),
    (_start(run=RUN + "\n"), "run"),
    ('{"type":"facts","facts":{"a":"\\u0000"}}', "cannot be stored"),
    ('{"type":"facts","facts":{"a":"\\ud800"}}', "cannot be stored"),
    ('{"type":"facts","facts":{"\\ud800":1}}', "cannot be stored"),
    (f'{{"type":"facts","facts":{{"a":"{"x" * 33_000}"}}}}', "over"),
    (f'{{"type":"facts","facts":{{"a":{"[" * 16}{"]" * 16}}}}}', "deeper"),
    (_start(run=RUN, filler="x" * MAX_FRAME_BYTES), "over"),
    (json.dumps({"type": "start", "run": "é" * 70_000}, ensure_ascii=False), "over"),
]


@pytest.mark.parametrize(("text", "complaint"), BAD, ids=range(len(BAD)))
def test_what_is_not_the_protocol_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ProtocolError, match=complaint):
        decode_from_agent(text)


@pytest.mark.parametrize("data", ["aGk", "aGk=\n", "aGk==", "a_k=", "aG k=", "=", 5, None])
def test_base64_is_standard_and_padded(data: object) -> None:
    text = json.dumps({"type": "output", "run": RUN, "offset": 0, "stream": "stdout", "data": data})

    with pytest.raises(ProtocolError, match="base64"):
        decode_from_agent(text)


@pytest.mark.parametrize("state", ["claimed", "go", "ended", "unknown"])
def test_a_result_stands_with_an_ended_run_and_with_no_other(state: str) -> None:
    has_ended = state in ("ended", "unknown")
    entry: dict[str, Any] = {"run": RUN, "state": state}
    if not has_ended:
        entry["result"] = json.loads(EVIDENCE_TEXT)

    with pytest.raises(ProtocolError, match="result"):
        decode_from_agent(json.dumps({"type": "recalled", "journal": [entry], "more": False}))


def test_a_time_is_utc_and_says_so() -> None:
    ack = {"type": "heartbeat_ack", "cancel": [], "session_ok": True}

    assert decode_from_server(json.dumps(ack | {"server_time": "2027-01-31T02:00:00Z"}))
    for wrong in ("2027-01-31T02:00:00", "2027-01-31T02:00:00+01:00", "2027-13-31T02:00:00Z", 5):
        with pytest.raises(ProtocolError, match="server_time"):
            decode_from_server(json.dumps(ack | {"server_time": wrong}))


def test_a_limit_this_end_does_not_know_is_overlooked() -> None:
    text = next(text for frame, text in GOLDEN if isinstance(frame, Welcome))
    raw = json.loads(text)

    welcome = decode_from_server(json.dumps(raw | {"limits": {"max_runs": 2, "colour": 1}}))

    assert isinstance(welcome, Welcome)
    assert welcome.limits == Limits(max_runs=2)


def test_a_frame_too_large_is_not_sent() -> None:
    with pytest.raises(ProtocolError, match="over"):
        encode(Output(RUN, 0, Stream.STDOUT, b"x" * MAX_FRAME_BYTES))


def test_the_largest_grant_fits() -> None:
    text = encode(Grant(RUN, "ab" * 8, b"t" * 16 * 1024, SIGNATURE, b"p" * 64 * 1024))

    assert len(text) < MAX_FRAME_BYTES
