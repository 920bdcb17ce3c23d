from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User

from devices.models import Device
from scheduling import rollout
from scheduling.cli import following, rendering
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories
from scheduling.tests.cli.conftest import Schedule

Steps = Callable[..., None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Steps]:
    """`meanwhile(a, b)`: while the command pauses for the first time a happens, then b."""
    left: list[Callable[[], object]] = []

    def pause(look_took_seconds: float) -> None:
        assert left, "it goes on waiting although nothing more will happen"
        left.pop(0)()

    monkeypatch.setattr(following, "pause", pause)
    yield lambda *steps: left.extend(steps)
    assert not left, "it did not wait for everything"


def release() -> None:
    rollout.advance(Execution.objects.get().pk)


def end(outcome: str = "succeeded", output: bytes = b"") -> Callable[[], None]:
    """Every queued run is carried out, and the execution judged."""

    def step() -> None:
        for run in DeviceRun.objects.filter(status="queued").order_by("device_name"):
            factories.carry_out(run, outcome, output=output)
        release()

    return step


def exit_with(code: int) -> Callable[[], None]:
    def step() -> None:
        end("failed")()
        DeviceRun.objects.update(exit_code=code)

    return step


@pytest.fixture
def by_hand(admin: User, web_device: Device, signer: str) -> ScheduledTask:
    return factories.by_hand(admin, devices=[web_device])


@pytest.fixture
def on_two(admin: User, web_device: Device, signer: str) -> ScheduledTask:
    return factories.by_hand(admin, devices=[web_device, factories.device("web-2")])


def test_output_is_shown_as_it_was_written(
    schedule: Schedule, by_hand: ScheduledTask, meanwhile: Steps
) -> None:
    meanwhile(release, end(output="größer\nals [red]\n".encode()))
    said = schedule("run", by_hand.pk, "--wait")
    assert said.out.startswith("größer\nals [red]\n")
    assert said.code == 0


def test_output_comes_while_the_command_runs(
    schedule: Schedule, by_hand: ScheduledTask, meanwhile: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def note(self: following.Follower, run: DeviceRun, reader: object, new: str) -> None:
        seen.append(f"{DeviceRun.objects.get().status}: {new!r}")

    def start() -> None:
        release()
        run = DeviceRun.objects.get()
        assert run.device is not None
        session = factories.session_of(run.device)
        factories.ledger.claim([session])
        factories.ledger.start([(session, run.pk)])
        factories.write_output(run, b"first\n")

    def finish() -> None:
        run = DeviceRun.objects.get()
        factories.write_output(run, b"second\n")
        factories.ledger.results([factories.result_of(run, output_length=13)])
        release()

    monkeypatch.setattr(following.Follower, "_write", note)
    meanwhile(start, finish)
    schedule("run", by_hand.pk, "--wait")
    assert seen == ["running: 'first\\n'", "succeeded: 'second\\n'"]


def test_several_devices_have_their_lines_marked(
    schedule: Schedule, on_two: ScheduledTask, meanwhile: Steps
) -> None:
    meanwhile(release, end(output=b"one\ntwo"))
    lines = schedule("run", on_two.pk, "--wait").out.splitlines()
    for name in ("web-1", "web-2"):
        assert [line for line in lines if line.startswith(f"{name} |")] == [
            f"{name} | one",
            f"{name} | two",
        ]


@pytest.mark.parametrize("code", [1, 7, 255])
def test_the_exit_code_of_a_single_device_is_handed_on(
    schedule: Schedule, by_hand: ScheduledTask, meanwhile: Steps, code: int
) -> None:
    meanwhile(release, exit_with(code))
    assert schedule("run", by_hand.pk, "--wait").code == code


@pytest.mark.parametrize("code", [0, 256, -9])
def test_a_code_no_process_can_end_with_becomes_1(
    schedule: Schedule, by_hand: ScheduledTask, meanwhile: Steps, code: int
) -> None:
    meanwhile(release, exit_with(code))
    assert schedule("run", by_hand.pk, "--wait").code == 1


def test_of_several_devices_a_failure_exits_with_1(
    schedule: Schedule, on_two: ScheduledTask, meanwhile: Steps
) -> None:
    meanwhile(release, exit_with(7))
    said = schedule("run", on_two.pk, "--wait")
    assert said.code == 1
    assert "Failed" in said.out


def test_an_execution_that_is_skipped_exits_with_1_and_says_why(
    schedule: Schedule, admin: User, web_device: Device
) -> None:
    task = factories.by_hand(admin, devices=[web_device])
    ScheduledTask.objects.filter(pk=task.pk).update(device_ids=[])
    said = schedule("run", task.pk, "--wait")
    assert said.code == 1
    assert "No device is targeted" in said.out


def test_json_stays_json_and_the_output_goes_to_standard_error(
    schedule: Schedule, by_hand: ScheduledTask, meanwhile: Steps
) -> None:
    meanwhile(release, end(output=b"hello\n"))
    said = schedule("run", by_hand.pk, "--wait", "--json")
    assert said.json["status"] == "success"
    assert said.json["result"]["devices_succeeded"] == 1
    (run,) = said.json["runs"]
    assert (run["device_name"], run["exit_code"], run["output_bytes"]) == ("web-1", 0, 6)
    assert "hello\n" in said.err


def test_what_a_device_waits_for_is_said_once(
    schedule: Schedule, by_hand: ScheduledTask, web_device: Device, meanwhile: Steps
) -> None:
    factories.go_offline(web_device)

    def back() -> None:
        factories.come_online(web_device)
        release()

    meanwhile(release, release, back, end())
    said = schedule("run", by_hand.pk, "--wait")
    assert said.err.count("web-1 waits: The device is offline") == 1
    assert said.code == 0


def test_an_interrupt_leaves_the_execution_alone_and_names_it(
    schedule: Schedule, by_hand: ScheduledTask, meanwhile: Steps
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    meanwhile(release, interrupt)
    said = schedule("run", by_hand.pk, "--wait")
    execution = Execution.objects.get()
    assert said.code == 130
    assert str(execution.pk) in said.err
    assert (execution.status, execution.cancel_requested_at) == ("running", None)


def test_without_wait_it_names_the_execution_at_once(
    schedule: Schedule, by_hand: ScheduledTask
) -> None:
    started = schedule("run", by_hand.pk, "--json").json
    execution = Execution.objects.get()
    assert started["id"] == str(execution.pk)
    assert (started["status"], started["trigger"]) == ("running", "manual")


def test_the_result_table_never_leaves_out_who_failed(admin: User) -> None:
    execution = factories.execution(factories.task(admin))
    runs = [factories.run(execution, status="succeeded") for _number in range(3)]
    runs += [factories.run(execution, status="failed") for _number in range(2)]
    table = rendering.results(runs, most=1)
    names = [str(cell) for cell in table.columns[0]._cells]
    assert names == [*(run.device_name for run in runs[3:]), "and 3 more"]
