"""`docs/protocol.md` says what the code does: every frame, field and signature of it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, get_args

import pytest

from devices.agent import protocol
from devices.agent.protocol import codec, frames

from .conftest import ROOT

TEXT = (ROOT / "docs" / "protocol.md").read_text()
VECTORS = {v["signs"]: v for v in map(json.loads, re.findall(r"```json\n(.+?)\n```", TEXT, re.S))}
PROMISES = (
    "**P1** A run id is *started* at most once, whatever crashes. A retry is a new attempt, a new id.",
    "**P2** No accepted run vanishes: each ends in a recorded outcome.",
    "**P3** cancelled-before-start, expired, rejected, skipped mean: nothing ran.",
    "**P4** succeeded / failed / timed_out come only from the device's own journal.",
    "**P5** `lost` means: it may have run wholly, partly or not at all; look at the machine. "
    "Never re-run by itself.",
    "**P6** Output is in order and without holes, or marked with the exact number of bytes dropped.",
    "**P7** No end state but `lost` is ever overwritten (late evidence from the same device's "
    "journal may settle a lost run).",
)
PARTS: dict[str, type[Any]] = {
    "journal entry": frames.JournalEntry,
    "evidence": frames.Evidence,
    "held run": frames.Holding,
    "verdict": frames.Verdict,
    "server key": frames.ServerKey,
    "limits": frames.Limits,
    "terms": protocol.Terms,
    "enrolment request": protocol.EnrolmentRequest,
    "enrolment answer": protocol.EnrolmentAnswer,
}
TYPES = {
    "Id": "id",
    "Nonce": "bytes(32)",
    "PublicKey": "bytes(32)",
    "Signature": "bytes(64)",
    "Binary": "bytes",
    "Instant": "time",
    "Sha256": "sha256",
    "KeyId": "key id",
    "Count": "count",
    "Seconds": "seconds",
    "Number": "number",
    "Flag": "flag",
    "ExitCode": "integer of 32 bits, or null",
    "ShortText": "text(64)",
    "LongText": "text(2000)",
    "FactsObject": "object(32768)",
    "DetailObject": "object(16384)",
}


def fields_of(heading: str) -> dict[str, str]:
    """The fields a heading's table names, each with the type it gives."""
    section = re.search(rf"^#### {re.escape(heading)}.*?$(.+?)(?=^#)", TEXT, re.S | re.M)
    assert section is not None, heading
    return dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", section[1], re.M))


def name_of(cls: type[Any]) -> str:
    return codec._TABLES[cls][0]


def check_fields(cls: type[Any], told: dict[str, str]) -> None:
    assert list(told) == [field.name for field in dataclasses.fields(cls)]
    for field in dataclasses.fields(cls):
        has_default = field.default is not dataclasses.MISSING
        assert told[field.name].endswith(", optional") == has_default, field.name
        exact = TYPES.get(str(field.type))
        if exact is not None:
            assert told[field.name].removesuffix(", optional") == exact, field.name


@pytest.mark.parametrize("cls", get_args(protocol.Frame), ids=name_of)
def test_every_frame_is_described_with_its_fields(cls: type[Any]) -> None:
    way = "A → S" if cls in get_args(protocol.AgentFrame) else "S → A"

    assert f"#### Frame `{name_of(cls)}`, {way}\n" in TEXT
    check_fields(cls, fields_of(f"Frame `{name_of(cls)}`"))


@pytest.mark.parametrize("name", PARTS)
def test_every_object_inside_a_frame_is_described(name: str) -> None:
    kind = "Body" if name.startswith("enrolment") else "Object"

    check_fields(PARTS[name], fields_of(f"{kind} `{name}`"))


def test_no_frame_is_described_that_there_is_not() -> None:
    described = re.findall(r"^#### Frame `(\w+)`", TEXT, re.M)

    assert sorted(described) == sorted(map(name_of, get_args(protocol.Frame)))


def test_the_promises_stand_word_for_word() -> None:
    assert re.findall(r"^- (\*\*P\d\*\* .+)$", TEXT, re.M) == list(PROMISES)


@pytest.mark.parametrize(
    "words", [protocol.Outcome, protocol.JournalState, protocol.VerdictWord, protocol.RejectCode]
)
def test_every_word_a_field_may_hold_is_there(words: Any) -> None:
    assert all(f"`{word.value}`" in TEXT for word in words)


@pytest.mark.parametrize(
    "code",
    [
        protocol.CLOSE_NOT_THE_PROTOCOL,
        protocol.CLOSE_NOT_AUTHENTICATED,
        protocol.CLOSE_REVOKED,
        protocol.CLOSE_FENCED,
        protocol.CLOSE_TOO_FAST,
    ],
)
def test_every_close_code_is_there(code: int) -> None:
    assert f"\n| {code} | " in TEXT


def test_the_defaults_of_limits_are_the_codes_own() -> None:
    limits = protocol.Limits()

    for field in dataclasses.fields(limits):
        assert f"| `{field.name}` | " in TEXT
        said = re.search(rf"^\| `{field.name}` \| [^|]+ \| (\d+)", TEXT, re.M)
        assert said is not None
        assert int(said[1]) == getattr(limits, field.name)


def raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


MESSAGES: dict[str, Callable[[dict[str, str]], bytes]] = {
    "hello": lambda v: protocol.hello_bytes(raw(v["nonce"]), v["server_id"], v["device_id"]),
    "enroll": lambda v: protocol.enroll_bytes(v["token"], bytes.fromhex(v["public_key"])),
    "run": lambda v: protocol.run_bytes(raw(v["terms"])),
    "update": lambda v: protocol.update_bytes(raw(v["terms"])),
    "fetch": lambda v: protocol.fetch_bytes(v["path"]),
    "key": lambda v: protocol.key_chain_bytes(
        v["server_id"], bytes.fromhex(v["public_key"]), raw(v["next_public_key"])
    ),
}


@pytest.mark.parametrize("signs", MESSAGES)
def test_the_worked_example_is_what_the_code_signs_and_believes(signs: str) -> None:
    vector = VECTORS[signs]
    private, public = bytes.fromhex(vector["private_key"]), bytes.fromhex(vector["public_key"])

    message = MESSAGES[signs](vector)

    assert message.hex() == vector["message"]
    assert protocol.public_key_of(private) == public
    assert protocol.sign(private, message) == raw(vector["signature"])
    assert protocol.verify(public, raw(vector["signature"]), message)
    assert not protocol.verify(public, raw(vector["signature"]), message + b"!")


def test_there_is_one_example_for_each_signature() -> None:
    assert set(VECTORS) == set(MESSAGES)
    assert TEXT.count("```json") == len(MESSAGES)


def test_the_example_of_a_run_is_a_run() -> None:
    vector = VECTORS["run"]

    terms = protocol.parse_terms(raw(vector["terms"]))

    assert terms.payload_sha256 == hashlib.sha256(raw(vector["payload"])).hexdigest()
    assert protocol.build_terms(terms) == raw(vector["terms"])
    assert vector["key_id"] == protocol.key_id(bytes.fromhex(vector["public_key"]))


def test_the_example_of_a_key_is_a_link_of_a_chain() -> None:
    vector = VECTORS["key"]
    first, second = bytes.fromhex(vector["public_key"]), raw(vector["next_public_key"])

    chain = (
        protocol.ServerKey(protocol.key_id(first), first),
        protocol.ServerKey(vector["next_key_id"], second, raw(vector["signature"])),
    )

    assert protocol.newest_key(chain, vector["server_id"], first) == second
    assert protocol.key_id(second) == vector["next_key_id"]
