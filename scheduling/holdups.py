"""What holds up an execution as a whole, in a sentence a person can act on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.templatetags.pages import exact
from scheduling import progress
from scheduling.models import Execution
from scheduling.options import Rollout
from scheduling.waiting import WaitingFor


def sentences(execution: Execution, numbers: Mapping[WaitingFor, int]) -> list[str]:
    """Why what has not started waits, what holds up most first; empty where nothing waits.
    `numbers` are those of `waiting.counted`. That the rollout is paused, and by whom, its row says."""
    if execution.status == Execution.Status.PENDING:
        return [_("An earlier execution of the task has to end first.")]
    return [_SAYS[reason](number, execution) for reason, number in numbers.items()]


def _offline(n: int, execution: Execution) -> str:
    return ngettext("%d device is offline.", "%d devices are offline.", n) % n


def _earlier_wave(n: int, execution: Execution) -> str:
    if execution.open_wave <= 1:
        return (
            ngettext("%d waits for the first wave to end.", "%d wait for the first wave to end.", n)
            % n
        )
    return ngettext(
        "%(n)d waits for wave %(wave)d to end.", "%(n)d wait for wave %(wave)d to end.", n
    ) % {"n": n, "wave": execution.open_wave}


def _soaking(n: int, execution: Execution) -> str:
    soaked_at = progress.soaked_at(execution, execution.wave_closed_at or timezone.now())
    return ngettext(
        "%(n)d waits while wave %(wave)d is watched, until %(moment)s.",
        "%(n)d wait while wave %(wave)d is watched, until %(moment)s.",
        n,
    ) % {"n": n, "wave": execution.open_wave, "moment": exact(soaked_at, "UTC")}


def _held(n: int, execution: Execution) -> str:
    return (
        ngettext("%d goes once the rollout is resumed.", "%d go once the rollout is resumed.", n)
        % n
    )


def _limit(n: int, execution: Execution) -> str:
    most = Rollout.parse(execution.definition["rollout"]).max_concurrent
    return ngettext(
        "%(n)d waits its turn: at most %(most)d are at work at a time.",
        "%(n)d wait their turn: at most %(most)d are at work at a time.",
        n,
    ) % {"n": n, "most": most}


def _backoff(n: int, execution: Execution) -> str:
    return ngettext("%d is tried again after a pause.", "%d are tried again after a pause.", n) % n


def _recovery(n: int, execution: Execution) -> str:
    return (
        ngettext(
            "%d device is being recovered after a restore.",
            "%d devices are being recovered after a restore.",
            n,
        )
        % n
    )


def _dispatcher(n: int, execution: Execution) -> str:
    return (
        ngettext("%d waits for a worker to release it.", "%d wait for a worker to release them.", n)
        % n
    )


def _busy(n: int, execution: Execution) -> str:
    return (
        ngettext(
            "%d device has other runs to do first.", "%d devices have other runs to do first.", n
        )
        % n
    )


def _not_ready(n: int, execution: Execution) -> str:
    return (
        ngettext(
            "%d device takes nothing new at present: its agent is ending or being updated, or its"
            " journal is damaged.",
            "%d devices take nothing new at present: their agents are ending or being updated, or"
            " their journals are damaged.",
            n,
        )
        % n
    )


def _agent(n: int, execution: Execution) -> str:
    return (
        ngettext(
            "%d waits for its agent to fetch or start it.",
            "%d wait for their agents to fetch or start them.",
            n,
        )
        % n
    )


_SAYS: dict[WaitingFor, Callable[[int, Execution], str]] = {
    WaitingFor.RECOVERY: _recovery,
    WaitingFor.ROLLOUT_PAUSED: _held,
    WaitingFor.EARLIER_WAVE: _earlier_wave,
    WaitingFor.SOAKING: _soaking,
    WaitingFor.RETRY_BACKOFF: _backoff,
    WaitingFor.DEVICE_OFFLINE: _offline,
    WaitingFor.CONCURRENCY_LIMIT: _limit,
    WaitingFor.DISPATCHER: _dispatcher,
    WaitingFor.AGENT_NOT_READY: _not_ready,
    WaitingFor.DEVICE_BUSY: _busy,
    WaitingFor.AGENT: _agent,
}
