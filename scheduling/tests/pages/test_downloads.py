"""What runs wrote, as files."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from scheduling.api import downloads
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def execution(task: ScheduledTask) -> Execution:
    made = factories.execution(task)
    for name, status, data in (
        ("web-1", "succeeded", b"one\n"),
        ("web-2\n", "failed", b"no end of line \xff"),
        ("web-3", "skipped", b""),
    ):
        born = "running" if data else "pending"
        run = factories.run(made, factories.device(name), status=born, attempt=2)
        if data:
            factories.write_output(run, data)
        code = 1 if data else None
        end = {"finished_at": run.created_at, "exit_code": code}
        DeviceRun.objects.filter(pk=run.pk).move(status, **end)
    return made


def body(client: Client, address: str) -> tuple[bytes, str]:
    answer: Any = client.get(address)
    assert answer.status_code == 200
    return b"".join(answer.streaming_content), answer["Content-Disposition"]


WHOLE = (
    b"==> web-1: succeeded, exit code 1, attempt 2 <==\none\n"
    b"==> web-2: failed, exit code 1, attempt 2 <==\nno end of line \xff\n"
    b"==> web-3: skipped, attempt 2 <==\n"
)


def test_one_run_is_the_bytes_it_wrote(as_operator: Client, execution: Execution) -> None:
    run = execution.runs.get(status="failed")
    found, named = body(as_operator, f"/runs/{run.pk}/output.txt")
    assert found == b"no end of line \xff"
    assert named == f'attachment; filename="run-{run.pk}.txt"'


def test_an_execution_is_all_of_them_each_below_its_devices_name(
    as_operator: Client, execution: Execution
) -> None:
    found, named = body(as_operator, f"/executions/{execution.pk}/output.txt")
    assert sorted(found.split(b"==>")) == sorted(WHOLE.split(b"==>"))
    assert named == f'attachment; filename="execution-{execution.pk}.txt"'


def test_it_is_the_same_where_it_is_read_in_small_parts(
    as_operator: Client, execution: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = body(as_operator, f"/executions/{execution.pk}/output.txt")
    for name in ("PART_BYTES", "RUNS_AT_ONCE", "SMALL_BYTES"):
        monkeypatch.setattr(downloads, name, 1)
    assert body(as_operator, f"/executions/{execution.pk}/output.txt") == whole


def test_dropped_bytes_are_left_out(as_operator: Client, task: ScheduledTask) -> None:
    run = factories.run(factories.execution(task), status="running")
    factories.write_output(run, b"kept")
    DeviceRun.objects.filter(pk=run.pk).update(output_next=10)
    found, _named = body(as_operator, f"/executions/{run.execution_id}/output.txt")
    assert found.endswith(b"<==\nkept\n")


def test_nobody_else_gets_them(as_outsider: Client, execution: Execution) -> None:
    run = execution.runs.first()
    assert run is not None
    for address in (f"/runs/{run.pk}/output.txt", f"/executions/{execution.pk}/output.txt"):
        assert as_outsider.get(address).status_code == 404
