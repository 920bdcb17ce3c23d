"""A form that is saved as it came changes nothing, whatever a browser can and cannot bring back."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client

from devices.models import DeviceGroup
from scheduling import definitions, templates
from scheduling.catalogue import software
from scheduling.forms import values
from scheduling.models import ScheduledTask, Software
from scheduling.tests import factories
from scheduling.tests.catalogue.conftest import Store
from scheduling.tests.pages.sending import Sent, sent

pytestmark = pytest.mark.django_db

KEY = "-----BEGIN-----\nabc\n\ndef\n-----END-----\n"
PAYLOADS: dict[str, dict[str, Any]] = {
    "lines in a value": {"command": "env", "environment": {"KEY": KEY, "CRLF": "a\r\nb"}},
    "a first and a last empty line": {"command": "\n\necho a \n", "environment": {"A": "\n\nb\n"}},
    "CRLF": {"commands": ["dir\r\necho a", "echo b\necho c", "echo d\recho e"]},
    "a rollback": {"command": "a", "rollback_command": " undo\r\nundo more\n"},
    "a line end in a path": {"command": "ls", "working_directory": "/a\nb"},
}
OPTIONS: dict[str, Any] = {
    "start_at": "2090-01-01T08:00:59.5Z",
    "end_at": "2091-01-01T08:00:00Z",
    "max_runs": 7,
    "excluded_dates": ["2090-12-24", "2090-12-25"],
    "jitter_seconds": 181,
    "misfire_policy": "run_all",
    "misfire_grace_seconds": 7_200,
    "overlap_policy": "queue_one",
    "offline_policy": "skip",
    "expires_after_seconds": 432_000,
    "timeout_seconds": 90,
    "rollout": {
        "strategy": "canary",
        "max_concurrent": 9,
        "batch_size": 20,
        "canary_size": "3%",
        "soak_seconds": 60,
        "abort_after_failures": 2,
        "success_threshold_percent": 90,
    },
    "retry": {
        "max_attempts": 4,
        "backoff_seconds": 20,
        "backoff_multiplier": 1.25,
        "on_exit_codes": [1, 75],
    },
}
TAGS = ["x, y", '"quoted"', 'a "b" c', "plain", 'say "no", please']


@pytest.fixture(params=PAYLOADS)
def awkward(request: Any, operator: User, web_group: DeviceGroup) -> ScheduledTask:
    return factories.task(
        operator,
        groups=[web_group],
        task_payload=PAYLOADS[request.param],
        tags=TAGS,
        description="One.\r\nTwo.",
        **OPTIONS,
    )


def kept(task: ScheduledTask) -> dict[str, Any]:
    return {name: value for name, value in definitions.as_input(task).items() if name != "name"}


def test_saving_what_was_not_touched_leaves_the_task_as_it_was(
    as_operator: Client, awkward: ScheduledTask
) -> None:
    before, changes = kept(awkward), awkward.changes.count()
    address = f"/tasks/{awkward.pk}/edit"
    assert as_operator.post(address, sent(as_operator.get(address))).status_code == 302
    awkward.refresh_from_db()
    assert kept(awkward) == before
    assert awkward.changes.count() == changes


def test_a_copy_is_like_its_original(as_operator: Client, awkward: ScheduledTask) -> None:
    address = f"/tasks/new?from={awkward.pk}"
    assert as_operator.post(address, sent(as_operator.get(address))).status_code == 302
    assert kept(ScheduledTask.objects.exclude(pk=awkward.pk).get()) == kept(awkward)


def test_a_task_begun_from_a_template_is_like_the_task_that_it_keeps(
    as_operator: Client, operator: User, awkward: ScheduledTask
) -> None:
    described = {"name": "Kept", "description": awkward.description}
    template = templates.create(operator, described | templates.of_task(awkward))
    address = f"/tasks/new?template={template.pk}"
    assert as_operator.post(address, sent(as_operator.get(address))).status_code == 302
    made = kept(ScheduledTask.objects.exclude(pk=awkward.pk).get())
    assert made == kept(awkward)


def test_a_changed_text_keeps_the_line_ends_it_had(
    as_operator: Client, operator: User, web_group: DeviceGroup
) -> None:
    payload = {"commands": ["dir\r\necho a", "ls\necho b"], "environment": {"A": "1\r\n2"}}
    task = factories.task(operator, groups=[web_group], task_payload=payload)
    address = f"/tasks/{task.pk}/edit"
    data = sent(as_operator.get(address))
    data["command-commands"] = [f"{one}\r\necho end" for one in data["command-commands"]]
    data["command-environment-value"][0] += "\r\n3"
    assert as_operator.post(address, data).status_code == 302
    task.refresh_from_db()
    assert task.task_payload["commands"] == ["dir\r\necho a\r\necho end", "ls\necho b\necho end"]
    assert task.task_payload["environment"] == {"A": "1\r\n2\r\n3"}


SOURCES = [
    {"os": "linux", "format": "deb", "detect_command": "a\nb"},
    {
        "os": "windows",
        "format": "exe",
        "install_command": "setup\r\nexit",
        "detect_command": "a\r\nb",
    },
    {"os": "macos", "format": "pkg", "install_command": "c\rd"},
]
BYTES = {"url": "https://packages.example/tool", "sha256": "0" * 64}


@pytest.fixture
def entry(admin: User) -> Software:
    given = [one | BYTES for one in SOURCES]
    return factories.software(admin, sources=given, description="One.\r\nTwo.\n")


def resaved(client: Client, entry: Software, typed: Sent, button: str = "") -> list[dict[str, Any]]:
    """The sources after the form was sent with what is typed, and a button before."""
    address = f"/software/{entry.pk}/edit"
    data = sent(client.get(address))
    if button:
        data = sent(client.post(address, data | {button: ["1"]}))
    assert client.post(address, data | typed).status_code == 302
    return list(software.as_input(Software.objects.get(pk=entry.pk))["sources"])


def test_saving_what_was_not_touched_leaves_an_entry_as_it_was(
    as_admin: Client, entry: Software
) -> None:
    before = software.as_input(entry)
    resaved(as_admin, entry, {})
    assert software.as_input(Software.objects.get(pk=entry.pk)) == before


def test_sources_keep_their_line_ends_where_others_go_or_their_platform_changes(
    as_admin: Client, entry: Software
) -> None:
    before = software.as_input(entry)["sources"]
    assert resaved(as_admin, entry, {}, "remove_source") == before[1:]
    moved = resaved(as_admin, entry, {"source-0-architecture": ["amd64"]})
    assert moved == [before[1] | {"architecture": "amd64"}, before[2]]


def test_a_changed_command_of_an_entry_keeps_the_line_ends_it_had(
    as_admin: Client, entry: Software
) -> None:
    typed = {f"source-{one}-detect_command": ["a\r\nb\r\nc"] for one in range(3)}
    after = [one["detect_command"] for one in resaved(as_admin, entry, typed)]
    assert after == ["a\nb\nc", "a\r\nb\r\nc", "a\nb\nc"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("a, b", ["a", "b"]),
        ('"a, b", c', ["a, b", "c"]),
        ('"a, b, c', ['"a', "b", "c"]),
        ('"a" b, c', ['"a" b', "c"]),
        ('"a ""b"", c"', ['a "b", c']),
        (' a ,, \n"b"\r\n c d ', ["a", "b", "c d"]),
        ("", []),
    ],
)
def test_words_are_separated_by_commas_outside_of_quotes(typed: str, words: list[str]) -> None:
    assert values.words(typed) == words
    assert values.words(values.as_words(words)) == words


@pytest.mark.parametrize("typed", ["", "\r\nThree."], ids=["left alone", "changed"])
def test_what_is_said_of_a_group_and_a_file_and_a_template_keeps_its_line_ends(
    as_admin: Client, operator: User, web_group: DeviceGroup, stored: Store, typed: str
) -> None:
    said = "One.\nTwo."
    definition = {"name": "Kept", "task_type": "command", "description": said}
    described: list[tuple[Model, str]] = [
        (web_group, "edit"),
        (stored(), "edit"),
        (templates.create(operator, definition), ""),
    ]
    for thing, form in described:
        type(thing)._default_manager.filter(pk=thing.pk).update(description=said)
        address = f"{thing.get_absolute_url()}{form}"  # type: ignore[attr-defined]
        data = sent(as_admin.get(address))
        data["description"] = [data["description"][0] + typed]
        assert as_admin.post(address, data).status_code == 302
        thing.refresh_from_db()
        assert thing.description == said + typed.replace("\r", "")  # type: ignore[attr-defined]
