"""The outputs of an execution on its page: who wrote the same, who did not, and what differs."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from scheduling import alike
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories
from scheduling.tests.test_alike import wrote

pytestmark = pytest.mark.django_db


@pytest.fixture
def odd(task: ScheduledTask) -> DeviceRun:
    """Three devices wrote the same, this one something else."""
    execution = factories.execution(task)
    for _ in range(3):
        wrote(execution, "kernel 6.1\n<b>bold</b>\n")
    return wrote(execution, "kernel 5.4\n<b>bold</b>\n")


def shown(client: Client, execution: Execution, output: str) -> set[DeviceRun]:
    answer = client.get(execution.get_absolute_url(), {"output": output})
    return set(answer.context["page"].object_list)


def test_the_page_counts_who_wrote_the_same(as_operator: Client, odd: DeviceRun) -> None:
    page = as_operator.get(odd.execution.get_absolute_url()).content.decode()
    assert "3 devices</a>: same output, exit code 0" in page
    assert "1 device</a>: an output of its own" in page
    assert "1 device differs from most" in page


def test_a_group_and_those_that_differ_filter_the_table(
    as_operator: Client, odd: DeviceRun
) -> None:
    page = as_operator.get(odd.execution.get_absolute_url())
    most = page.context["outputs"].reference
    everybody = set(odd.execution.runs.all())
    assert shown(as_operator, odd.execution, most.key) == everybody - {odd}
    assert shown(as_operator, odd.execution, "different") == {odd}
    assert shown(as_operator, odd.execution, "nonsense") == everybody


def test_what_differs_shows_as_text(as_operator: Client, odd: DeviceRun) -> None:
    page = as_operator.get(f"{odd.execution.get_absolute_url()}?run={odd.pk}").content.decode()
    assert f'href="/runs/{odd.pk}/difference"' in page
    page = as_operator.get(f"/runs/{odd.pk}/difference").content.decode()
    assert "<del>-kernel 6.1</del>" in page
    assert "<ins>+kernel 5.4</ins>" in page
    assert "<span> &lt;b&gt;bold&lt;/b&gt;</span>" in page
    assert "compared with 3 devices" in page


def test_two_and_two_are_no_majority(as_operator: Client, task: ScheduledTask) -> None:
    execution = factories.execution(task)
    runs = [wrote(execution, f"{text}\n") for text in "aabb"]
    run = next(one for one in runs if alike.groups(execution).differs(one))
    page = as_operator.get(execution.get_absolute_url(), {"run": str(run.pk)}).content.decode()
    assert "Most devices" not in page
    assert "from most" not in page
    assert "Largest group" in page
    assert "2 devices differ from the largest group" in page
    page = as_operator.get(f"/runs/{run.pk}/difference").content.decode()
    assert "and the largest group did not" in page
    assert "most" not in page.split("<h1>")[1].split("</main>")[0]


def test_one_of_the_majority_has_nothing_to_differ_from(
    as_operator: Client, odd: DeviceRun
) -> None:
    one = odd.execution.runs.exclude(pk=odd.pk)[0]
    assert as_operator.get(f"/runs/{one.pk}/difference").status_code == 302


def test_nobody_else_sees_what_differs(as_outsider: Client, odd: DeviceRun) -> None:
    assert as_outsider.get(f"/runs/{odd.pk}/difference").status_code == 404


def test_an_execution_on_one_device_compares_nothing(
    as_operator: Client, task: ScheduledTask, operator: User
) -> None:
    run = wrote(factories.execution(task), "alone\n")
    assert 'id="outputs"' not in as_operator.get(run.execution.get_absolute_url()).content.decode()
