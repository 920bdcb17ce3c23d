"""A form that is saved as it came changes nothing, whatever a browser can and cannot bring back."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from devices.models import DeviceGroup
from scheduling import definitions, templates
from scheduling.forms import values
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from scheduling.tests.pages.sending import sent

pytestmark = pytest.mark.django_db

KEY = "-----BEGIN-----\nabc\n\ndef\n-----END-----\n"
PAYLOADS: dict[str, dict[str, Any]] = {
    "lines in a value": {"command": "env", "environment": {"KEY": KEY, "CRLF": "a\r\nb"}},
    "a first and a last empty line": {"command": "\n\necho a \n", "environment": {"A": "\n\nb\n"}},
    "CRLF": {"commands": ["dir\r\necho a", "echo b\necho c", "echo d\recho e"]},
    "a rollback": {"command": "a", "rollback_command": " undo\r\nundo more\n"},
    "a line end in a path": {"command": "ls", "working_directory": "/a\nb"},
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
    )


def kept(task: ScheduledTask) -> dict[str, Any]:
    names = ("task_payload", "tags", "description", "group_ids", "rollout", "recurrence_config")
    return {name: definitions.as_input(task)[name] for name in names}


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
    template = templates.create(
        operator,
        {
            "name": "Kept",
            "description": awkward.description,
            "task_type": awkward.task_type,
            **{
                name: definitions.as_input(awkward)[name]
                for name in ("task_payload", "tags", "group_ids")
            },
        },
    )
    address = f"/tasks/new?template={template.pk}"
    assert as_operator.post(address, sent(as_operator.get(address))).status_code == 302
    made = kept(ScheduledTask.objects.exclude(pk=awkward.pk).get())
    assert made | {"recurrence_config": None} == kept(awkward) | {"recurrence_config": None}


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
