"""Our beat scheduler: any number of them, each occurrence announced, none twice for nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from celery.app import app_or_default
from django.contrib.auth.models import User
from django.db import OperationalError as DatabaseDown
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from kombu.exceptions import OperationalError
from structlog.testing import capture_logs

from scheduling import opening, schedules, tasks
from scheduling.beat import FleetScheduler
from scheduling.beat.scheduler import BATCH, LONGEST_SLEEP_SECONDS
from scheduling.models import Execution, ScheduledTask, ServiceHeartbeat
from scheduling.tests import factories
from scheduling.tests.test_at_once import side_by_side

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Broker:
    """Stands where the broker is; `is_down` makes it refuse what is sent."""

    messages: list[tuple[str, Any, Any]] = field(default_factory=list)
    is_down: bool = False

    def send_task(self, name: str, args: Any = None, kwargs: Any = None, **options: Any) -> None:
        if self.is_down:
            raise OperationalError("nobody answers")
        self.messages.append((name, args, kwargs))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """What was announced: (task, nominal time)."""
        ours = [args for name, args, _kwargs in self.messages if name == tasks.open_due.name]
        return [pair for (batch,) in ours for pair in batch]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(app_or_default(), "send_task", broker.send_task)
    return broker


@pytest.fixture
def beat(broker: Broker) -> Iterator[Callable[[], FleetScheduler]]:
    """`beat()` is one more beat process's scheduler."""
    started: list[FleetScheduler] = []

    def start() -> FleetScheduler:
        started.append(FleetScheduler(app=app_or_default()))
        return started[-1]

    yield start
    for one in started:
        one._finalize.cancel()  # it would look for the database when the interpreter ends
        one.close()


Beat = Callable[[], FleetScheduler]


@pytest.fixture
def admin() -> User:
    return factories.person("admin", is_administrator=True)


def test_what_is_due_is_announced_with_its_nominal_time(
    admin: User, beat: Beat, broker: Broker
) -> None:
    task = factories.task(admin)
    factories.make_due(factories.task(admin, name="not due"), ago=timedelta(hours=-1))
    moment = factories.make_due(task)
    beat()._announce_due()
    assert broker.messages == [
        (tasks.open_due.name, [[(str(task.pk), moment.isoformat())]], {"opened_by": "beat"})
    ]


def test_the_announcement_opens_the_occurrence(admin: User, beat: Beat, broker: Broker) -> None:
    task = factories.task(admin)
    moment = factories.make_due(task)
    beat()._announce_due()
    ((_name, arguments, options),) = broker.messages
    tasks.open_due(*arguments, **options)
    execution = Execution.objects.get()
    assert (execution.scheduled_for, execution.opened_by) == (moment, "beat")


def test_two_beats_announce_an_occurrence_once(admin: User, beat: Beat, broker: Broker) -> None:
    due = [factories.task(admin, name=str(number)) for number in range(5)]
    for task in due:
        factories.make_due(task)
    first, second = beat(), beat()
    for _number in range(2):
        first._announce_due()
        second._announce_due()
    assert sorted(pair[0] for pair in broker.pairs) == sorted(str(task.pk) for task in due)


def test_beats_that_look_at_the_same_moment_announce_each_once(
    admin: User, beat: Beat, broker: Broker
) -> None:
    due = [factories.task(admin, name=str(number)) for number in range(20)]
    for task in due:
        factories.make_due(task)
    beats = [beat() for _number in range(4)]
    side_by_side(*(one._announce_due for one in beats))
    assert sorted(pair[0] for pair in broker.pairs) == sorted(str(task.pk) for task in due)


def test_beat_never_moves_the_plan(admin: User, beat: Beat, broker: Broker) -> None:
    task = factories.task(admin)
    moment = factories.make_due(task)
    beat()._announce_due()
    task.refresh_from_db()
    assert (task.next_run_time, task.announced_for) == (moment, moment)
    assert task.announced_at is not None


def test_what_was_announced_and_not_opened_is_announced_again_after_a_while(
    admin: User, beat: Beat, broker: Broker
) -> None:
    task = factories.task(admin)
    factories.make_due(task)
    one, other = beat(), beat()
    one._announce_due()
    assert other._announce_due() == LONGEST_SLEEP_SECONDS
    past = timezone.now() - timedelta(seconds=31)
    ScheduledTask.objects.update(announced_at=past)
    other._announce_due()
    assert len(broker.pairs) == 2


def test_an_opened_occurrence_is_announced_no_more_but_the_next_one_is(
    admin: User, beat: Beat, broker: Broker
) -> None:
    task = factories.task(admin, overlap_policy="allow")
    factories.make_due(task)
    one = beat()
    one._announce_due()
    opening.open_due(task.pk, None, "beat")
    ScheduledTask.objects.update(announced_at=timezone.now() - timedelta(seconds=31))
    one._announce_due()
    assert len(broker.pairs) == 1
    second = factories.make_due(task, ago=timedelta(seconds=1))
    one._announce_due()
    assert broker.pairs[1] == (str(task.pk), second.isoformat())


def test_a_paused_task_is_not_announced(admin: User, beat: Beat, broker: Broker) -> None:
    task = factories.task(admin)
    factories.make_due(task)
    schedules.pause(task, admin)
    beat()._announce_due()
    assert broker.pairs == []


def test_it_sleeps_until_the_next_is_due(admin: User, beat: Beat, broker: Broker) -> None:
    assert beat()._announce_due() == LONGEST_SLEEP_SECONDS
    task = factories.task(admin)
    soon = timezone.now() + timedelta(seconds=600)
    ScheduledTask.objects.filter(pk=task.pk).update(next_run_time=soon, next_scheduled_for=soon)
    one = beat()
    assert LONGEST_SLEEP_SECONDS < one._announce_due() <= 600
    assert 0 <= one.tick() <= LONGEST_SLEEP_SECONDS


@pytest.fixture
def thought_empty() -> Iterator[None]:
    """The database takes the table of tasks for one whose rows were all deleted."""
    _know(100, 0)
    yield
    _know(0, -1)


def _know(pages: int, rows: int) -> None:
    known = "UPDATE pg_class SET relpages = %s, reltuples = %s WHERE relname = 'scheduled_tasks'"
    with connection.cursor() as cursor:
        cursor.execute(known, [pages, rows])


@pytest.mark.usefixtures("thought_empty")
def test_many_are_announced_in_batches_whatever_the_plan(
    admin: User, beat: Beat, broker: Broker
) -> None:
    """A limit in a subquery holds each time that a plan evaluates it."""
    _announce_many(admin, beat, broker)


def test_many_are_announced_in_batches(admin: User, beat: Beat, broker: Broker) -> None:
    _announce_many(admin, beat, broker)


def _announce_many(admin: User, beat: Beat, broker: Broker) -> None:
    task = factories.task(admin)
    moment: datetime = factories.make_due(task)
    copies = [
        ScheduledTask(
            user=admin, name=str(number), task_type="command", task_payload={},
            recurrence_type="daily", recurrence_config={"time": "02:00"},
            next_run_time=moment, next_scheduled_for=moment,
        )
        for number in range(2 * BATCH)
    ]  # fmt: skip
    ScheduledTask.objects.bulk_create(copies)
    beat()._announce_due()
    sizes = [len(args[0]) for _name, args, _kwargs in broker.messages]
    assert sizes == [BATCH, BATCH, 1]
    assert len({pair[0] for pair in broker.pairs}) == 2 * BATCH + 1


def test_what_a_broken_broker_refused_is_sent_when_it_is_back(
    admin: User, beat: Beat, broker: Broker
) -> None:
    task = factories.task(admin)
    factories.make_due(task)
    one = beat()
    broker.is_down = True
    assert one._announce_due() == LONGEST_SLEEP_SECONDS
    assert one._announce_due() == LONGEST_SLEEP_SECONDS
    broker.is_down = False
    one._announce_due()
    one._announce_due()
    assert [pair[0] for pair in broker.pairs] == [str(task.pk)]


def test_a_beat_that_dies_before_sending_loses_nothing(
    admin: User, beat: Beat, broker: Broker
) -> None:
    factories.make_due(factories.task(admin))
    dead = beat()
    dead._reserve()
    dead.close()
    ScheduledTask.objects.update(announced_at=timezone.now() - timedelta(seconds=31))
    beat()._announce_due()
    assert len(broker.pairs) == 1


def other_apps_task() -> PeriodicTask:
    second = IntervalSchedule.objects.create(every=1, period="seconds")
    return PeriodicTask.objects.create(name="other", task="other.work", interval=second)


def entries(one: FleetScheduler) -> set[str]:
    return {entry.task for entry in one.schedule.values()}


def test_our_periodic_tasks_stay_out_of_the_parents_entries(
    admin: User, beat: Beat, broker: Broker
) -> None:
    factories.task(admin)
    other_apps_task()
    found = entries(beat())
    assert "other.work" in found
    assert tasks.open_due.name not in found


def test_exactly_one_beat_runs_other_apps_tasks(
    beat: Beat, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    PeriodicTask.objects.filter(pk=other_apps_task().pk).update(
        last_run_at=timezone.now() - timedelta(minutes=1)
    )
    sent: list[tuple[str, str]] = []

    def apply_async(self: FleetScheduler, entry: Any, **options: Any) -> None:
        sent.append((self.name, entry.task))

    monkeypatch.setattr(FleetScheduler, "apply_async", apply_async)
    first, second = beat(), beat()
    first.name, second.name = "first", "second"
    for one in (first, second, first, second):
        one.tick()
    assert {name for name, task in sent if task == "other.work"} == {"first"}
    first.close()
    deadline = time.monotonic() + 60
    while not second._lead():  # PostgreSQL notices the closed connection a moment later
        assert time.monotonic() < deadline


def test_a_change_of_a_task_of_ours_does_not_make_it_read_everything_again(
    admin: User, beat: Beat, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = beat()
    one.tick()
    reads: list[str] = []

    def read_all() -> dict[str, Any]:
        reads.append("all")
        return {}

    monkeypatch.setattr(one, "all_as_schedule", read_all)
    for number in range(3):
        factories.task(admin, name=str(number))
        one.tick()
    assert reads == []


def test_without_its_database_it_waits_and_goes_on_when_it_is_back(
    admin: User, beat: Beat, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = beat()
    factories.make_due(factories.task(admin))

    def down(*arguments: object) -> Any:
        raise DatabaseDown("the connection is lost")

    with monkeypatch.context() as patch:
        patch.setattr(one, "_fetch", down)
        assert one.tick() == LONGEST_SLEEP_SECONDS
    one.tick()
    assert len(broker.pairs) == 1


def test_it_says_that_it_started_and_shows_that_it_lives(beat: Beat, broker: Broker) -> None:
    with capture_logs() as logs:
        one = beat()
    assert "Task scheduler started" in [entry["event"] for entry in logs]
    one.tick()
    heartbeat = ServiceHeartbeat.objects.get(kind="beat")
    assert heartbeat.name == one.name
