"""What the kinds for files and software accept, from people and from servers, and what they refuse."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.agent.kinds import FileFacts, JsonObject, PayloadError, get
from devices.agent.kinds.software_deployment import ACTIONS

# However slow the machine is.
patiently = settings(deadline=None)
FILES, SOFTWARE = get("file_deployment"), get("software_deployment")
ID = "0190a5f0-7c8e-7000-8000-000000000001"
SHA256 = "ab" * 32
FILE = {"name": "app.conf", "sha256": SHA256, "size": 3}
ENTRY = {
    "id": ID,
    "name": "Tool",
    "version": "1",
    "publisher": "",
    "requirements": {},
    "sources": [{"os": "linux", "architecture": "any", "format": "deb", "file": FILE}],
}


class Shelf:
    """A catalogue that has everything."""

    def files(self, ids: Sequence[str]) -> list[FileFacts]:
        return [FileFacts(f"name-{one}", SHA256, 3) for one in ids]

    def software(self, ids: Sequence[str]) -> list[JsonObject]:
        return [ENTRY | {"id": one} for one in ids]


WRONG_FILES: list[tuple[str, object]] = [
    ("file_ids", []),
    ("file_ids", None),
    ("file_ids", "x"),
    ("file_ids", ["x"]),
    ("file_ids", [ID, 1]),
    ("target_path", None),
    ("target_path", ""),
    ("target_path", "/"),
    ("target_path", "//"),
    ("target_path", "relative/path"),
    ("target_path", "/srv/../etc/passwd"),
    ("target_path", "/srv/.."),
    ("target_path", "/a\nb"),
    ("target_path", "/a\0b"),
    ("target_path", "/a\ud800"),
    ("target_path", "/" + "x" * 1_000),
    ("target_path", 7),
    ("mode", 644),
    ("mode", "999"),
    ("mode", "u+x"),
    ("mode", "006444"),
    ("owner", "a:b:c"),
    ("owner", "-x"),
    ("owner", "$(id)"),
    ("owner", ["root"]),
    ("backup", "yes"),
    ("overwrite", 1),
    ("template", "true"),
    ("dry_run", 0),
    ("create_path_if_not_exists", []),
    ("deployment_name", "two\nlines"),
    ("deployment_name", "x" * 201),
    ("variables", ["a"]),
    ("variables", {"a b": "x"}),
    ("variables", {"a": 1}),
    ("variables", {"a": "\0"}),
    ("variables", {f"v{number}": "" for number in range(101)}),
    ("surprise", 1),
]


@pytest.mark.parametrize(("field", "value"), WRONG_FILES, ids=str)
def test_a_wrong_field_of_a_file_deployment_is_named(field: str, value: object) -> None:
    payload = {"file_ids": [ID], "target_path": "/srv/file", "template": True, field: value}
    with pytest.raises(PayloadError) as refused:
        FILES.parse(payload)
    assert list(refused.value.errors) == [field]


def test_what_does_not_go_together_is_said() -> None:
    other = ID[:-1] + "2"
    for changes, field in (
        ({"file_ids": [ID, other]}, "target_path"),
        ({"variables": {"a": "b"}}, "variables"),
    ):
        with pytest.raises(PayloadError) as refused:
            FILES.parse({"file_ids": [ID], "target_path": "/srv/file", **changes})
        assert list(refused.value.errors) == [field]
    with pytest.raises(PayloadError, match="for commands alone"):
        FILES.parse(
            {"file_ids": [ID], "target_path": "/srv/"}, rollout={"strategy": "transactional"}
        )


@pytest.mark.parametrize("payload", [None, [], "x", 1, {}])
def test_what_is_no_payload_at_all_is_refused(payload: object) -> None:
    for kind in (FILES, SOFTWARE):
        with pytest.raises(PayloadError):
            kind.parse(payload)
        with pytest.raises(PayloadError):
            kind.accept(payload)


WRONG_ORDERS: list[dict[str, Any]] = [
    {"files": []},
    {"files": [FILE] * 101, "target_path": "/srv/"},
    {"files": ["x"]},
    {"files": [FILE | {"extra": 1}]},
    *({"files": [FILE | {"name": name}]} for name in ("", "..", ".", "a/b", "/x", "a\0", 7)),
    *({"files": [FILE | {"sha256": digest}]} for digest in ("", "AB" * 32, "ab" * 31, 7, None)),
    *({"files": [FILE | {"size": size}]} for size in (-1, "3", None, True, 1.5)),
    {"file_ids": [ID]},
    {"restore": {"execution": ID, "target_path": "/srv/x"}},
]


@pytest.mark.parametrize("changes", WRONG_ORDERS, ids=str)
def test_a_device_refuses_a_wrong_order_for_files(changes: dict[str, Any]) -> None:
    with pytest.raises(PayloadError):
        FILES.accept({"files": [FILE], "target_path": "/srv/file", **changes})


@pytest.mark.parametrize(
    "wanted",
    [
        None,
        {"execution": ID},
        {"execution": "../..", "target_path": "/srv/"},
        {"execution": ID, "target_path": "srv"},
        {"execution": ID, "target_path": "/srv/../x"},
        {"execution": 1, "target_path": "/srv/"},
    ],
)
def test_a_device_refuses_a_wrong_order_to_restore(wanted: object) -> None:
    with pytest.raises(PayloadError):
        FILES.accept({"restore": wanted})


def changed(path: str, value: object) -> JsonObject:
    """An order for software with one thing changed; `-` takes it away."""
    order: Any = {"software": [copy.deepcopy(ENTRY)], "action": "install"}
    spot = order
    *way, last = [int(one) if one.isdecimal() else one for one in path.split(".")]
    for one in way:
        spot = spot[one]
    if value == "-":
        del spot[last]
    else:
        spot[last] = value
    return dict(order)


SOURCE = "software.0.sources.0"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("action", "-"),
        ("action", "destroy"),
        ("resumes", []),
        ("resumes", ID),
        ("resumes", ["../journal"]),
        ("resumes", [ID] * 11),
        ("software", []),
        ("software", {}),
        ("software.0", "x"),
        ("software.0.id", "-"),
        ("software.0.extra", 1),
        ("software.0.name", 7),
        ("software.0.requirements", {"free_disk_mb": "much"}),
        ("software.0.sources", "x"),
        (SOURCE, "x"),
        (f"{SOURCE}.os", "-"),
        (f"{SOURCE}.surprise", 1),
        (f"{SOURCE}.format", 7),
        (f"{SOURCE}.format", "floppy"),
        (f"{SOURCE}.install_command", ["rm"]),
        (f"{SOURCE}.install_command", "a\0b"),
        (f"{SOURCE}.package_name", 7),
        (f"{SOURCE}.package_name", "-o=x"),
        (f"{SOURCE}.package_name", "vim-"),
        (f"{SOURCE}.success_exit_codes", ["0"]),
        (f"{SOURCE}.reboot_exit_codes", 7),
        (f"{SOURCE}.file", "x"),
        (f"{SOURCE}.file.name", "../x"),
        (f"{SOURCE}.file.sha256", "x"),
        (f"{SOURCE}.file.size", -1),
    ],
)
def test_a_device_refuses_a_wrong_order_for_software(path: str, value: object) -> None:
    with pytest.raises(PayloadError):
        SOFTWARE.accept(changed(path, value))
    SOFTWARE.accept(changed("action", "upgrade"))


def test_the_order_of_a_retry_names_what_it_goes_on_from() -> None:
    order = changed("action", "upgrade")
    ids = [str(uuid4()) for _number in range(12)]
    for one in ids:
        order = SOFTWARE.resume(order, one)
        assert SOFTWARE.accept(order) == order
    assert order == {**changed("action", "upgrade"), "resumes": ids[-10:]}


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0\n"), min_size=1, max_size=20)
paths = st.lists(names.filter(lambda name: name not in (".", "..")), min_size=1, max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)
file_payloads = st.fixed_dictionaries(
    {"file_ids": st.just([ID]), "target_path": paths},
    optional={
        "mode": st.from_regex(r"0?[0-7]{3}", fullmatch=True),
        "owner": st.sampled_from(["root", "root:root", ":adm", "1000:1000", ""]),
        "backup": st.booleans(),
        "overwrite": st.booleans(),
        "dry_run": st.booleans(),
        "create_path_if_not_exists": st.booleans(),
        "deployment_name": st.sampled_from(["", "A name"]),
        "template": st.just(True),
    },
)


@patiently
@given(file_payloads)
def test_what_was_parsed_is_parsed_to_the_same_and_accepted(payload: dict[str, Any]) -> None:
    parsed = FILES.parse(payload)
    assert FILES.parse(parsed) == parsed
    order = json.loads(json.dumps(FILES.resolve(parsed, Shelf())))
    assert FILES.accept(order) == order
    assert FILES.accept(FILES.accept(order)) == order
    assert FILES.files(order) == (SHA256,)
    (folder,) = FILES.requires(order).directories
    assert parsed["target_path"].rstrip("/").startswith(folder.rstrip("/"))
    assert FILES.summary(parsed)
    assert FILES.summary(order)


@patiently
@given(st.lists(st.uuids().map(str), min_size=1, max_size=5), st.sampled_from(ACTIONS))
def test_software_that_was_parsed_is_accepted_too(ids: list[str], action: str) -> None:
    parsed = SOFTWARE.parse({"software_ids": ids, "action": action})
    assert SOFTWARE.parse(parsed) == parsed
    order = json.loads(json.dumps(SOFTWARE.resolve(parsed, Shelf())))
    assert SOFTWARE.accept(order) == order
    expected = list(dict.fromkeys(ids))
    told = [one["id"] for one in order["software"]]
    assert told == (expected[::-1] if action == "uninstall" else expected)


@patiently
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    st.sampled_from(
        [
            "file_ids",
            "target_path",
            "variables",
            "mode",
            "owner",
            "files",
            "software",
            "action",
            "restore",
            "software_ids",
        ]
    ),
)
def test_whatever_comes_is_refused_as_it_should_be(value: object, field: str) -> None:
    for kind in (FILES, SOFTWARE):
        for read in (kind.parse, kind.accept):
            with pytest.raises(PayloadError) as refused:
                read({field: value})
            assert refused.value.errors
