"""What is signed, byte for byte, and which keys are believed."""

from __future__ import annotations

import dataclasses
import itertools
import json
from datetime import UTC, datetime

import pytest

from devices.agent import protocol
from devices.agent.protocol import ProtocolError, ServerKey, Terms

SERVER = "01890000-0000-7000-8000-00000000000a"
DEVICE = "01890000-0000-7000-8000-00000000000b"
RUN = "01890000-0000-7000-8000-00000000000c"
WHEN = datetime(2027, 1, 31, 2, 0, tzinfo=UTC)
TERMS = Terms(
    server_id=SERVER,
    run=RUN,
    device=DEVICE,
    execution=RUN,
    task=None,
    attempt=1,
    scheduled_for=WHEN,
    kind="command",
    payload_sha256="ab" * 32,
    files=(),
    run_as=None,
    timeout_seconds=3600,
    not_before=WHEN,
    not_after=WHEN,
)


def chain(length: int) -> tuple[list[bytes], tuple[ServerKey, ...]]:
    """Private keys, and the chain that leads from the first to the last."""
    secrets = [protocol.new_private_key() for _ in range(length)]
    first = protocol.public_key_of(secrets[0])
    links: tuple[ServerKey, ...] = (ServerKey(protocol.key_id(first), first),)
    for old, new in itertools.pairwise(secrets):
        links = protocol.extend_chain(links, SERVER, old, protocol.public_key_of(new))
    return secrets, links


def test_the_signed_bytes_are_exactly_these() -> None:
    assert protocol.hello_bytes(b"N" * 32, SERVER, DEVICE) == (
        b"deployx.hello.v1\0" + b"N" * 32 + SERVER.encode() + DEVICE.encode()
    )
    assert protocol.enroll_bytes("tok", b"K" * 32) == b"deployx.enroll.v1\0tok" + b"K" * 32
    assert protocol.run_bytes(b"T") == b"deployx.run.v1\0T"
    assert protocol.update_bytes(b"T") == b"deployx.update.v1\0T"
    assert protocol.key_chain_bytes(SERVER, b"A" * 32, b"B" * 32) == (
        b"deployx.key.v1\0" + SERVER.encode() + b"A" * 32 + b"B" * 32
    )


def test_a_key_id_is_the_head_of_the_keys_fingerprint() -> None:
    assert protocol.fingerprint(b"\0" * 32) == (
        "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
    )
    assert protocol.key_id(b"\0" * 32) == "66687aadf862bd77"


def test_a_signature_holds_for_its_key_and_message_alone() -> None:
    mine, other = protocol.new_private_key(), protocol.new_private_key()
    signature = protocol.sign(mine, b"said")

    assert protocol.verify(protocol.public_key_of(mine), signature, b"said")
    assert not protocol.verify(protocol.public_key_of(mine), signature, b"said!")
    assert not protocol.verify(protocol.public_key_of(other), signature, b"said")
    assert not protocol.verify(b"short", signature, b"said")
    assert not protocol.verify(protocol.public_key_of(mine), b"short", b"said")


@pytest.mark.parametrize("pinned", [0, 1, 2])
def test_the_chain_leads_from_any_earlier_key_to_the_newest(pinned: int) -> None:
    secrets, links = chain(3)
    known = protocol.public_key_of(secrets[pinned])

    assert protocol.newest_key(links, SERVER, known) == protocol.public_key_of(secrets[2])


def test_a_chain_that_does_not_lead_from_the_pinned_key_is_not_believed() -> None:
    secrets, links = chain(3)
    first = protocol.public_key_of(secrets[0])
    stranger = protocol.public_key_of(protocol.new_private_key())
    forged = dataclasses.replace(links[1], signature=b"x" * 64)
    unsigned = dataclasses.replace(links[1], signature=None)

    assert protocol.newest_key(links, SERVER, stranger) is None
    assert protocol.newest_key(links, DEVICE, first) is None
    assert protocol.newest_key((links[0], forged, links[2]), SERVER, first) is None
    assert protocol.newest_key((links[0], unsigned), SERVER, first) is None
    assert protocol.newest_key((links[0], links[2]), SERVER, first) is None
    assert protocol.newest_key((), SERVER, first) is None


def test_only_the_last_keys_owner_extends_the_chain() -> None:
    secrets, links = chain(2)

    with pytest.raises(ValueError, match="last link"):
        protocol.extend_chain(links, SERVER, secrets[0], b"n" * 32)


def test_terms_are_these_bytes_and_mean_what_they_meant() -> None:
    data = protocol.build_terms(TERMS)

    assert (
        data
        == (
            f'{{"server_id":"{SERVER}","run":"{RUN}","device":"{DEVICE}","execution":"{RUN}",'
            '"task":null,"attempt":1,"scheduled_for":"2027-01-31T02:00:00.000000Z",'
            f'"kind":"command","payload_sha256":"{"ab" * 32}","files":[],"run_as":null,'
            '"timeout_seconds":3600,"not_before":"2027-01-31T02:00:00.000000Z",'
            '"not_after":"2027-01-31T02:00:00.000000Z"}'
        ).encode()
    )
    assert protocol.parse_terms(data) == TERMS


def test_terms_with_an_unknown_condition_are_refused() -> None:
    raw = json.loads(protocol.build_terms(TERMS))

    with pytest.raises(ProtocolError, match="only_on_mondays"):
        protocol.parse_terms(json.dumps(raw | {"only_on_mondays": True}).encode())


@pytest.mark.parametrize("data", [b"\xff", b"[]", b"{}", b"x" * 20_000])
def test_terms_that_are_none_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        protocol.parse_terms(data)


def test_enrolment_bodies_survive_the_way() -> None:
    request = protocol.EnrolmentRequest("tok", "bench", b"k" * 32, b"s" * 64, "1.0.0", {"os": "x"})
    answer = protocol.EnrolmentAnswer(DEVICE, SERVER, "ab" * 8, b"k" * 32, "wss://h/ws/agent")

    asked = protocol.decode_enrolment_request(protocol.encode_enrolment(request))
    answered = protocol.decode_enrolment_answer(protocol.encode_enrolment(answer).encode())

    assert (asked, answered) == (request, answer)
    with pytest.raises(ProtocolError, match="token"):
        protocol.decode_enrolment_request("{}")
