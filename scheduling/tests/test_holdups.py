"""What holds up a whole execution, counted by the rules that explain each run."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from accounts.templatetags.pages import exact
from devices.models import Device
from scheduling import holdups, standing, steering, waiting
from scheduling.models import Execution
from scheduling.tests import factories


@pytest.fixture
def execution(admin: User) -> Execution:
    return factories.execution(factories.task(admin), open_wave=1)


def said(execution: Execution) -> list[str]:
    return holdups.sentences(execution, waiting.counted(execution))


@pytest.mark.parametrize("seed", range(4))
def test_the_database_counts_what_the_explanations_of_the_runs_say(admin: User, seed: int) -> None:
    dice = random.Random(seed)
    paused_at = timezone.now() if seed % 2 else None
    closed_at = timezone.now() if seed > 1 else None
    task = factories.task(
        admin, rollout={"max_concurrent": dice.choice([1, 100]), "soak_seconds": 60}
    )
    execution = factories.execution(
        task, open_wave=seed, rollout_paused_at=paused_at, wave_closed_at=closed_at
    )
    for _ in range(40):
        on = factories.device(
            online=dice.random() < 0.6,
            in_recovery=dice.random() < 0.1,
            is_ready=dice.random() < 0.8,
        )
        if dice.random() < 0.3:
            factories.run(factories.execution(task), on, status="running")
        status = dice.choice(["pending", "queued", "claimed", "running", "skipped"])
        later = timezone.now() + timedelta(hours=dice.choice([-1, 1]))
        factories.run(
            execution,
            on,
            status=status,
            wave=dice.randint(1, 4),
            has_slot=dice.random() < 0.5,
            not_before=dice.choice([None, later]),
        )
    runs = list(execution.runs.select_related("execution", "device"))
    waiting.explain(runs)
    expected = Counter(run.waiting_for for run in runs if run.waiting_for)  # type: ignore[attr-defined]
    assert waiting.counted(execution) == expected
    assert len(expected) >= 3


def test_one_sentence_for_each_reason_the_most_frequent_first(execution: Execution) -> None:
    for _ in range(3):
        factories.run(execution, status="pending", wave=2)
    factories.run(execution, factories.device(online=False), status="queued")
    assert said(execution) == ["3 wait for the first wave to end.", "1 device is offline."]


def test_what_waits_for_a_watched_wave_says_until_when(admin: User) -> None:
    task = factories.task(admin, rollout={"strategy": "rolling", "soak_seconds": 600})
    execution = factories.execution(task, wave_closed_at=timezone.now())
    for _ in range(2):
        factories.run(execution, status="pending", wave=2)
    (sentence,) = said(execution)
    assert execution.wave_closed_at is not None
    until = exact(execution.wave_closed_at + timedelta(minutes=10), "UTC")
    assert sentence == f"2 wait while wave 1 is watched, until {until}."


def test_one_in_the_queue_waits_for_the_one_before(admin: User) -> None:
    queued = factories.execution(factories.task(admin), status="pending")
    assert said(queued) == ["An earlier execution of the task has to end first."]


@pytest.mark.parametrize("reason", list(waiting.WaitingFor))
def test_every_reason_has_its_words(execution: Execution, reason: waiting.WaitingFor) -> None:
    for number in (1, 2):
        assert str(number) in holdups._SAYS[reason](number, execution)


def test_where_nothing_waits_nothing_is_said_and_nothing_asked(
    execution: Execution, web_device: Device, django_assert_num_queries: Callable[..., Any]
) -> None:
    factories.run(execution, web_device, status="running")
    with django_assert_num_queries(2):  # the numbers, and the groups of outputs
        found = standing.of(execution)
    assert holdups.sentences(execution, found.waiting) == []


def test_a_closed_wave_soaks_until_the_next_may_go(admin: User) -> None:
    closed_at = timezone.now()
    rollout = {"strategy": "canary", "soak_seconds": 600}
    task = factories.task(admin, rollout=rollout)
    execution = factories.execution(task, open_wave=1, wave_closed_at=closed_at)
    factories.run(execution, status="succeeded", wave=1)
    factories.run(execution, status="pending", wave=2)
    waves = steering.waves(execution, steering.possible(execution))
    assert waves is not None
    assert [(str(one.status), one.soaks_until) for one in waves.shown] == [
        ("soaking", closed_at + timedelta(minutes=10)),
        ("waiting", None),
    ]
    execution.rollout_paused_at = timezone.now()
    waves = steering.waves(execution, steering.possible(execution))
    assert waves is not None
    assert [one.soaks_until for one in waves.shown] == [None, None]
