"""Steering a rollout from the page of its execution."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from devices.models import Device, DeviceGroup
from scheduling import executions
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def rollout(task: ScheduledTask, web_group: DeviceGroup, sent: list[Any]) -> Execution:
    """Its first wave is under way on two devices, its second waits on three."""
    execution = factories.execution(task, open_wave=1)
    for status in ("succeeded", "running"):
        factories.run(execution, status=status, wave=1)
    for _ in range(3):
        run = factories.run(execution, status="pending", wave=2)
        web_group.devices.add(run.device)  # type: ignore[arg-type]
    return execution


@pytest.fixture
def ended(task: ScheduledTask, web_device: Device) -> Execution:
    execution = factories.execution(task)
    factories.run(execution, web_device, status="failed")
    return end(execution)


def end(execution: Execution) -> Execution:
    Execution.objects.filter(pk=execution.pk).move("failed", completed_at=execution.created_at)
    execution.refresh_from_db()
    return execution


def page_of(client: Client, execution: Execution) -> str:
    return client.get(execution.get_absolute_url()).content.decode()


def offered(client: Client, execution: Execution) -> set[str]:
    page = page_of(client, execution)
    verbs = ("pause", "resume", "promote", "abort", "cancel", "retry")
    return {verb for verb in verbs if f'"/executions/{execution.pk}/{verb}"' in page}


def press(client: Client, execution: Execution, verb: str, **data: Any) -> list[str]:
    """Presses the button; what the page then says."""
    answer = client.post(f"/executions/{execution.pk}/{verb}", data)
    assert answer.status_code == 302
    execution.refresh_from_db()
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_a_rollout_under_way_offers_what_would_be_accepted(
    as_operator: Client, rollout: Execution
) -> None:
    assert offered(as_operator, rollout) == {"pause", "promote", "abort", "cancel"}


def test_a_paused_rollout_can_be_resumed_and_not_paused(
    as_operator: Client, rollout: Execution
) -> None:
    assert press(as_operator, rollout, "pause") == ["The rollout is paused."]
    assert offered(as_operator, rollout) == {"resume", "promote", "abort", "cancel"}
    assert press(as_operator, rollout, "resume") == ["The rollout goes on."]
    assert (rollout.rollout_paused_at, rollout.rollout_paused_by) == (None, None)


def test_where_nothing_waits_to_start_there_is_only_cancel(
    as_operator: Client, task: ScheduledTask
) -> None:
    execution = factories.execution(task, open_wave=1)
    factories.run(execution, status="running")
    assert offered(as_operator, execution) == {"cancel"}


def test_one_wave_has_no_next_one_to_let_go(as_operator: Client, task: ScheduledTask) -> None:
    execution = factories.execution(task, open_wave=1)
    factories.run(execution, status="pending")
    assert offered(as_operator, execution) == {"pause", "abort", "cancel"}


def test_what_has_ended_offers_a_retry_where_something_did_not_succeed(
    as_operator: Client, ended: Execution, task: ScheduledTask
) -> None:
    assert offered(as_operator, ended) == {"retry"}
    succeeded = factories.execution(task)
    factories.run(succeeded, status="succeeded")
    assert offered(as_operator, end(succeeded)) == set()


def test_promote_opens_the_next_wave(as_operator: Client, rollout: Execution) -> None:
    assert press(as_operator, rollout, "promote") == ["The next wave may go."]
    assert rollout.open_wave == 2


@pytest.mark.parametrize("verb", ["pause", "resume", "promote", "abort"])
def test_a_refusal_is_told_and_changes_nothing(
    as_operator: Client, ended: Execution, verb: str
) -> None:
    assert press(as_operator, ended, verb) == ["The execution is not running."]
    assert ended.rollout_paused_at is None


def test_abort_says_how_many_are_skipped_and_how_many_finish(
    as_operator: Client, rollout: Execution
) -> None:
    page = as_operator.get(f"/executions/{rollout.pk}/abort").content.decode()
    assert "3 devices on which it has not started are skipped." in page
    assert "1 device on which it is running finishes." in page
    assert press(as_operator, rollout, "abort") == ["The rollout is aborted."]
    assert rollout.runs.filter(status="skipped").count() == 3


def test_abort_and_cancel_say_where_a_transactional_rollout_is_undone(
    as_operator: Client, rollout: Execution
) -> None:
    def says(verb: str, what: str) -> bool:
        page = as_operator.get(f"/executions/{rollout.pk}/{verb}").content.decode()
        return what in page

    undone, kept = "1 device on which it has succeeded is rolled back", "Nothing is rolled back"
    assert not says("abort", "rolled back")
    assert not says("cancel", "rolled back")
    rollout.definition["rollout"]["strategy"] = "transactional"
    rollout.save()
    assert says("abort", undone)
    assert says("cancel", f"{kept}: on 1 device on which it has succeeded it stays.")
    assert not says("cancel?wave=1", kept)


def test_cancel_asks_about_what_waits_in_the_queue(
    as_operator: Client, task: ScheduledTask
) -> None:
    queued = factories.execution(task, status="pending", definition={})
    page = as_operator.get(f"/executions/{queued.pk}/cancel").content.decode()
    assert "Cancel the execution</button>" in page


def test_abort_with_nothing_left_to_start_says_so(as_operator: Client, ended: Execution) -> None:
    page = as_operator.get(f"/executions/{ended.pk}/abort").content.decode()
    assert "there is nothing to abort" in page
    assert "Abort the rollout</button>" not in page


def test_the_page_says_who_paused_the_rollout(as_operator: Client, rollout: Execution) -> None:
    press(as_operator, rollout, "pause")
    for page in (page_of(as_operator, rollout), as_operator.get("/").content.decode()):
        assert re.search(r'The rollout was paused by operator <time datetime="[^"]+" title="', page)
        assert "</time>. 3 wait for the first wave to end." in page
    Execution.objects.update(rollout_paused_by=None)
    assert "The rollout was paused <time" in page_of(as_operator, rollout)


def test_the_overview_and_the_history_show_a_paused_rollout(
    as_operator: Client, rollout: Execution
) -> None:
    pages = ("/", "/executions/", rollout.task.get_absolute_url())  # type: ignore[union-attr]
    assert not any("Rollout paused" in as_operator.get(one).content.decode() for one in pages)
    press(as_operator, rollout, "pause")
    assert all("Rollout paused" in as_operator.get(one).content.decode() for one in pages)


def test_a_rollout_that_ended_while_paused_is_not_shown_as_paused(
    as_operator: Client, rollout: Execution
) -> None:
    press(as_operator, rollout, "pause")
    end(rollout)
    assert "Rollout paused" not in as_operator.get("/executions/").content.decode()


def test_the_waves_are_counted(as_operator: Client, rollout: Execution) -> None:
    page = page_of(as_operator, rollout)
    assert "2 devices: 1 running, 1 succeeded" in page
    assert "3 devices: 3 pending" in page
    waves = page.partition('<ol class="waves">')[2].partition("</ol>")[0].split("</li>")[:-1]
    bars = [re.findall(r'<svg class="bar"[^>]*aria-label="([^"]*)"', wave) for wave in waves]
    assert bars == [["1 of 2 devices succeeded"], ["0 of 3 devices succeeded"]]
    pieces = [re.findall(r'<rect class="bar-(\w+)"[^>]*width="(\S+)"', wave) for wave in waves]
    assert pieces == [[("good", "50.000"), ("busy", "50.000")], []]
    assert "style=" not in page


def test_a_wave_is_cancelled_behind_a_confirmation(as_operator: Client, rollout: Execution) -> None:
    address = f"/executions/{rollout.pk}/cancel"
    assert f'href="{address}?wave=2"' in page_of(as_operator, rollout)
    page = as_operator.get(f"{address}?wave=2").content.decode()
    assert "Cancel wave 2 of" in page
    assert "On 3 devices it will not start." in page
    press(as_operator, rollout, "cancel", wave="2")
    assert rollout.runs.filter(wave=2, status="cancelled").count() == 3
    assert not rollout.runs.filter(wave=1, status="cancelled").exists()
    assert rollout.cancel_requested_at is None


@pytest.mark.parametrize("wave", ["0", "-1", "two", "²", "50001", "9" * 5_000])
def test_no_such_wave_can_be_cancelled(as_operator: Client, rollout: Execution, wave: str) -> None:
    address = f"/executions/{rollout.pk}/cancel"
    assert as_operator.get(address, {"wave": wave}).status_code == 404
    assert as_operator.post(address, {"wave": wave}).status_code == 404
    rollout.refresh_from_db()
    assert rollout.cancel_requested_at is None


def test_a_wave_that_is_not_there_is_refused(as_operator: Client, rollout: Execution) -> None:
    said = press(as_operator, rollout, "cancel", wave="7")
    assert said == ["This execution has no such wave."]


def test_retry_offers_the_states_there_are_and_ticks_all_but_success_and_lost(
    as_operator: Client, ended: Execution
) -> None:
    for status in ("lost", "succeeded", "timed_out", "timed_out"):
        factories.run(ended, status=status)
    answer = as_operator.get(f"/executions/{ended.pk}/retry")
    choices = {one["status"]: one for one in answer.context["choices"]}
    assert {name: one["number"] for name, one in choices.items()} == {
        "succeeded": 1,
        "failed": 1,
        "timed_out": 2,
        "lost": 1,
    }
    ticked = {name for name, one in choices.items() if one["is_ticked"]}
    assert ticked == {"failed", "timed_out"}
    assert "Lost means that nobody knows" in answer.content.decode()


def test_retry_goes_to_the_ticked_states_alone(
    as_admin: Client, ended: Execution, signer: str
) -> None:
    lost = factories.run(ended, status="lost")
    press(as_admin, ended, "retry", statuses=["lost"])
    again = Execution.objects.get(trigger="retry")
    assert [run.device_id for run in again.runs.all()] == [lost.device_id]


def test_retry_of_nothing_is_refused(as_operator: Client, ended: Execution) -> None:
    assert press(as_operator, ended, "retry") == ["Tick at least one state."]
    assert not Execution.objects.filter(trigger="retry").exists()


def test_there_is_nothing_to_retry_while_it_goes_on(
    as_operator: Client, rollout: Execution
) -> None:
    page = as_operator.get(f"/executions/{rollout.pk}/retry").content.decode()
    assert "The execution has not ended" in page
    assert 'name="statuses"' not in page


def test_one_run_is_cancelled_behind_a_confirmation(
    as_operator: Client, rollout: Execution
) -> None:
    run = rollout.runs.filter(status="pending")[0]
    address = f"/runs/{run.pk}/cancel"
    assert f'href="{address}"' in page_of(as_operator, rollout)
    assert "It will not start on this 1 device." in as_operator.get(address).content.decode()
    answer = as_operator.post(address)
    assert answer["Location"] == f"{rollout.get_absolute_url()}?run={run.pk}"
    assert list(rollout.runs.filter(status="cancelled")) == [run]


def test_a_run_is_cancelled_from_its_devices_page_and_leads_back_there(
    as_operator: Client, task: ScheduledTask, web_device: Device, sent: list[Any]
) -> None:
    run = factories.run(factories.execution(task), web_device, status="running")
    here = web_device.get_absolute_url()
    address = f"/runs/{run.pk}/cancel?from=device"
    assert f'href="{address}"' in as_operator.get(here).content.decode()
    page = as_operator.get(address).content.decode()
    assert f'name="next" value="{here}"' in page
    assert as_operator.post(address, {"next": here})["Location"] == here
    run.refresh_from_db()
    assert run.cancel_requested_at is not None
    assert "Asked to stop" in as_operator.get(here).content.decode()


def test_a_run_that_has_ended_cannot_be_cancelled(as_operator: Client, ended: Execution) -> None:
    run = ended.runs.get()
    address = f"/runs/{run.pk}/cancel"
    assert address not in page_of(as_operator, ended)
    assert "there is nothing to cancel" in as_operator.get(address).content.decode()
    messages = get_messages(as_operator.post(address).wsgi_request)
    assert [str(one) for one in messages] == ["The run has ended."]


def test_more_waves_and_devices_ask_no_more_queries(
    as_operator: Client, rollout: Execution
) -> None:
    def queries(page: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            as_operator.get(rollout.get_absolute_url() + page)
        return len(captured)

    factories.run(rollout, factories.device(online=False), status="queued", wave=1)
    wrote = rollout.runs.get(status="running")
    factories.write_output(wrote, b"hello")
    page = f"?run={wrote.pk}&search=device"
    assert "hello" in as_operator.get(rollout.get_absolute_url() + page).content.decode()
    before = queries(page)
    for wave in range(3, 20):
        factories.run(rollout, status="pending", wave=wave)
    executions.pause_rollout(rollout, rollout.user)
    assert queries(page) == before
    assert before <= 12


def test_of_many_waves_those_around_the_open_one_show(
    as_operator: Client, task: ScheduledTask
) -> None:
    execution = factories.execution(task, open_wave=20, rollout_paused_at=timezone.now())
    for wave in range(1, 41):
        factories.run(execution, status="pending" if wave >= 20 else "succeeded", wave=wave)
    shown = as_operator.get(execution.get_absolute_url()).context["waves"].shown
    assert [one.number for one in shown] == list(range(17, 27))
    assert {one.number: str(one.status) for one in shown[2:5]} == {
        19: "ended",
        20: "open",
        21: "waiting",
    }


def test_waves_say_so_where_there_is_only_one(as_operator: Client, ended: Execution) -> None:
    assert as_operator.get(ended.get_absolute_url()).context["waves"] is None
    assert DeviceRun.objects.get().wave == 1


def test_a_rollback_stands_below_the_run_it_undoes_and_is_named(
    client: Client, admin: User, task: ScheduledTask, web_device: Device
) -> None:
    client.force_login(admin)
    execution = factories.execution(task)
    failed = factories.run(execution, web_device, status="failed")
    rollback = DeviceRun.objects.create(
        execution=execution, device=web_device, device_name=web_device.name, rolls_back=failed
    )
    page = page_of(client, execution)
    assert page.index(f"run-{failed.pk}") < page.index(f"run-{rollback.pk}")
    assert page.count("<small>rollback</small>") == 1
