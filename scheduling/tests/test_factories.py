from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from scheduling import rollout, schedules
from scheduling.models import DeviceRun
from scheduling.tests import factories


@pytest.mark.parametrize("status", factories.WAYS)
def test_a_run_can_be_had_in_every_state(admin: User, status: str) -> None:
    execution = factories.execution(factories.task(admin))
    run = factories.run(execution, status=status)
    assert run.status == ("cancelled" if status == "killed" else status)
    assert set(DeviceRun.Status.values) <= set(factories.WAYS)


def test_a_released_run_can_be_carried_out_as_a_device_does(admin: User, signer: str) -> None:
    task = factories.by_hand(admin)
    execution = schedules.execute(task, admin)
    rollout.advance(execution.pk)
    run = factories.carry_out(execution.runs.get(), output=b"hello\n")
    assert (run.status, run.exit_code, run.output_next) == ("succeeded", 0, 6)
