"""What a beat process promises: it says that it started, runs other apps' tasks once among all beats,
sees a change of them within seconds, hands them over when it dies, and ends when it is asked to."""

from __future__ import annotations

import signal

import pytest

from deployx.supervisor import Process
from tests.beating import Installation, installation
from tests.running import until

_OTHER_APP = """
WITH every_second AS (
    INSERT INTO django_celery_beat_intervalschedule (every, period) VALUES (1, 'seconds')
    RETURNING id
)
INSERT INTO django_celery_beat_periodictask
       (name, task, args, kwargs, queue, headers, one_off, enabled, total_run_count, date_changed,
        description, interval_id)
SELECT 'Another app''s', 'scheduling.tasks.heartbeat', '["another app"]', '{}', 'dispatch', '{}',
       false, true, 0, now(), '', id FROM every_second
RETURNING id
"""
_TELL = "UPDATE django_celery_beat_periodictasks SET last_update = clock_timestamp() RETURNING 1"
_SEEN = "SELECT 1 FROM scheduling_serviceheartbeat WHERE name = 'another app' AND seen_at > %s"
LEADS = "beat_leads"


def until_other_app_runs(made: Installation, what: str) -> None:
    """Once more, from this moment on."""
    ((now,),) = made.query("SELECT statement_timestamp()")
    until(lambda: made.query(_SEEN, now), what=what)


def leader(made: Installation, beats: dict[str, Process]) -> str | None:
    return next((name for name in beats if LEADS in made.log(name)), None)


@pytest.mark.timeout(240)
def test_other_apps_tasks_run_under_one_beat_and_then_under_another() -> None:
    with installation(is_durable=False, DEPLOYX_RECONCILE="off") as made:
        made.worker()
        beats = {name: made.beat(name) for name in ("one", "two")}
        until(lambda: made.alive("beat") == 2 or None, what="both beats")
        assert all("Task scheduler started" in made.log(name) for name in beats)
        first = until(lambda: leader(made, beats), what="a leader")
        (other,) = beats.keys() - {first}
        assert LEADS not in made.log(other)

        made.query(_OTHER_APP)
        made.query(_TELL)
        until_other_app_runs(made, "another app's task runs")

        beats[first].kill()
        until(lambda: LEADS in made.log(other) or None, what="the other beat leads")
        until_other_app_runs(made, "another app's task still runs")

        beats[other].popen.send_signal(signal.SIGTERM)
        # Sooner than it would be killed.
        beats[other].popen.wait(beats[other].program.patience_seconds)
        assert "Traceback" not in made.log(other)
