"""Any rollout, whatever devices and people do in whatever order, keeps its rules and ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from accounts.errors import StateConflict
from devices.models import Device
from scheduling import executions, ledger, progress, rollout, schedules, steering
from scheduling.models import DeviceRun
from scheduling.options import Rollout, amount_of
from scheduling.tests import factories

STRATEGIES = ("parallel", "rolling", "canary", "blue_green", "transactional")
OUTCOMES = ("succeeded", "succeeded", "succeeded", "failed", "timed_out", "unknown")
PERSON = ("pause_rollout", "resume_rollout", "promote", "abort")
AMOUNTS = st.one_of(st.integers(1, 4), st.sampled_from(["10%", "34%", "50%"]))
OPTIONS = st.fixed_dictionaries(
    {
        "strategy": st.sampled_from(STRATEGIES),
        "max_concurrent": st.integers(1, 4),
        "batch_size": AMOUNTS,
        "canary_size": AMOUNTS,
        "success_threshold_percent": st.sampled_from([0, 50, 67, 100]),
    },
    optional={"abort_after_failures": AMOUNTS},
)
PLACES = st.integers(0, 6)


class AnyRollout(RuleBasedStateMachine):
    @initialize(
        options=OPTIONS,
        online=st.lists(st.booleans(), min_size=1, max_size=7),
        attempts=st.integers(1, 3),
    )
    def open(self, options: dict[str, Any], online: list[bool], attempts: int) -> None:
        self.before = transaction.savepoint()
        self.admin = factories.person(is_administrator=True)
        self.devices = [factories.device(online=is_online) for is_online in online]
        payload = {"command": "up", "rollback_command": "down"}
        retry = {"max_attempts": attempts, "backoff_seconds": 0}
        task = factories.by_hand(
            self.admin, devices=self.devices, rollout=options, retry=retry, task_payload=payload
        )
        self.options = Rollout.parse(options)
        self.execution = schedules.execute(task, self.admin)
        self.opened: list[int] = []
        self.promoted = False
        self.ended_as = ""

    def teardown(self) -> None:
        if not hasattr(self, "before"):
            return
        try:
            self._everything_ends()
        finally:
            transaction.savepoint_rollback(self.before)

    @rule()
    def move_on(self) -> None:
        before = self.execution.open_wave
        had_closed = self._is_closed(before)
        rollout.advance(self.execution.pk)
        self.execution.refresh_from_db()
        if before and self.execution.open_wave > before:
            assert had_closed, "a wave opened before the one before it was closed"

    @rule(place=PLACES, outcome=st.sampled_from(OUTCOMES))
    def carry_out(self, place: int, outcome: str) -> None:
        device = self._device(place)
        if device.is_online:
            session = factories.session_of(device)
            ledger.claim([session])
            claimed = DeviceRun.objects.filter(device=device, status="claimed").first()
            if claimed is not None:
                ledger.start([(session, claimed.pk)])
            if (run := self.execution.runs.filter(device=device, status="running").first()) is None:
                return
            ledger.results([factories.result_of(run, outcome)])

    @rule(place=PLACES)
    def begin_only(self, place: int) -> None:
        device = self._device(place)
        if device.is_online:
            session = factories.session_of(device)
            starts = [(session, grant.run) for grant in ledger.claim([session])]
            if starts:
                ledger.start(starts)

    @rule(place=PLACES)
    def evidence_comes_late(self, place: int) -> None:
        lost = self.execution.runs.filter(device=self._device(place), status="lost").first()
        if lost is not None:
            before = self.execution.runs.count()
            ledger.results([factories.result_of(lost)])
            rollout.advance(self.execution.pk)
            if self.ended_as:
                assert self.execution.runs.count() == before

    @rule(place=PLACES)
    def come_or_go(self, place: int) -> None:
        device = self._device(place)
        factories.go_offline(device) if device.is_online else factories.come_online(device)

    @rule(place=PLACES)
    def the_deadline_passes(self, place: int) -> None:
        past = timezone.now() - timedelta(seconds=1)
        running = self.execution.runs.filter(device=self._device(place), status="running")
        running.update(deadline_at=past)

    @rule(verb=st.sampled_from(PERSON))
    def steer(self, verb: str) -> None:
        self.execution.refresh_from_db()
        can = getattr(steering.possible(self.execution), verb.removesuffix("_rollout"))
        try:
            getattr(executions, verb)(self.execution, self.admin)
        except StateConflict:
            assert not can, f"{verb} was offered and refused"
        else:
            assert can, f"{verb} was accepted and not offered"
        self.execution.refresh_from_db()

    @invariant()
    def no_more_slots_than_allowed(self) -> None:
        holding = self.execution.runs.filter(
            has_slot=True, status__in=["queued", "claimed", "running"]
        )
        assert holding.exclude(progress.OVERDUE).count() <= self.options.max_concurrent

    @invariant()
    def nothing_of_a_later_wave_is_released(self) -> None:
        self.execution.refresh_from_db()
        later = self.execution.runs.filter(wave__gt=self.execution.open_wave)
        assert not later.exclude(status__in=["pending", "skipped", "cancelled", "expired"]).exists()

    @invariant()
    def after_an_abort_nothing_but_rollbacks_is_released(self) -> None:
        if self.execution.abort_requested_at is not None:
            waiting = self.execution.runs.unstarted().filter(rolls_back=None)
            assert not waiting.exists()

    @invariant()
    def only_what_ran_and_is_known_is_rolled_back_once_and_only_where_it_may(self) -> None:
        undone = self.execution.runs.filter(rolls_back__isnull=False).select_related("rolls_back")
        for rollback in undone:
            assert self.options.strategy == "transactional"
            assert rollback.rolls_back is not None
            succeeded = rollback.rolls_back.status == "succeeded"
            assert rollback.rolls_back.status in ("failed", "timed_out", "succeeded")
            assert not succeeded or self.execution.abort_requested_at is not None
            assert not rollback.rolls_back.was_lost
        devices = [rollback.device_id for rollback in undone]
        assert len(devices) == len(set(devices))

    @invariant()
    def it_ends_when_its_runs_have_and_is_judged_by_them(self) -> None:
        self.execution.refresh_from_db()
        if self.execution.has_ended:
            self.ended_as = self.execution.status
            assert not self.execution.runs.unended().exists()
            by_status = progress.counts([self.execution.pk])[self.execution.pk]
            assert self.execution.result["counts"] == by_status
            assert self.execution.status == self._judged(by_status)

    def _judged(self, by_status: dict[str, int]) -> str:
        """The formula of the contract, written a second time."""
        good = by_status["succeeded"]
        bad = sum(by_status[one] for one in ("failed", "timed_out", "rejected", "expired", "lost"))
        if good + bad == 0:
            return "cancelled" if by_status["cancelled"] else "skipped"
        if good / (good + bad) * 100 >= self.options.success_threshold_percent:
            return "success"
        return "partial" if good else "failed"

    def _is_closed(self, wave: int) -> bool:
        """Whether the next may open: nobody of the wave holds it up, where it matters one succeeded."""
        runs = self.execution.runs.filter(progress.COUNTED, wave=wave)
        if progress.active(runs).exists():
            return False
        gated = self.options.strategy in ("canary", "blue_green")
        return not gated or runs.filter(status="succeeded").exists()

    def _device(self, place: int) -> Device:
        device = self.devices[place % len(self.devices)]
        device.refresh_from_db()
        return device

    def _everything_ends(self) -> None:
        """Everybody comes back and does what they are told; then it ends, with or without help."""
        if self.execution.rollout_paused_at is not None and not self.execution.has_ended:
            executions.resume_rollout(self.execution, self.admin)
        for device in self.devices:
            device.refresh_from_db()
            if not device.is_online:
                factories.come_online(device)
        for _round in range(60):
            rollout.advance(self.execution.pk)
            self.execution.refresh_from_db()
            if self.execution.has_ended:
                break
            for place in range(len(self.devices)):
                self.carry_out(place, "succeeded")
        assert self.execution.has_ended, "it does not end"
        self.it_ends_when_its_runs_have_and_is_judged_by_them()
        self._it_was_aborted_where_it_had_to_be()
        self._everything_was_undone_after_an_abort()

    def _it_was_aborted_where_it_had_to_be(self) -> None:
        limit = self.options.abort_after_failures
        skipped = self.execution.runs.filter(status="skipped")
        if self.execution.abort_requested_at is None:
            assert not skipped.exists()
            never_lost = not self.execution.runs.filter(was_lost=True).exists()
            if limit is not None and never_lost:
                against = self.execution.result["devices_failed"]
                assert against < amount_of(limit, len(self.devices))

    def _everything_was_undone_after_an_abort(self) -> None:
        if self.options.strategy != "transactional":
            return
        done = ["failed", "timed_out"]
        if self.execution.abort_requested_at is not None:
            done.append("succeeded")
        ran = self.execution.runs.filter(progress.COUNTED, status__in=done, was_lost=False)
        assert not ran.filter(rollbacks=None).exists(), "left as it was"


@pytest.mark.timeout(240)
def test_any_rollout_keeps_its_rules_and_ends(
    signer: str, sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_state_machine_as_test(
        AnyRollout,
        settings=settings(
            max_examples=10,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
