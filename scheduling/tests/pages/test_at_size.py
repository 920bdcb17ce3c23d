"""The page of an execution on 50,000 devices asks no more and is hardly larger than any other."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from devices.models import DeviceGroup
from scheduling.models import Execution
from scheduling.tests import factories
from tests import history

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]

DEVICES = 50_000
# Nine tenths have ended; of the others some run, wait for their device or for their wave.
STATUS = "(ARRAY['running', 'queued', 'pending'])[1 + n / 10 % 3]"
HAS_ENDED = "n % 10 > 0"
OUTPUT = b"Done: 42.\n"
MOST_QUERIES, MOST_BYTES = 12, 300_000


@pytest.fixture
def great(operator: User, web_group: DeviceGroup) -> Execution:
    """On 50,000 devices, in waves, with a thousand different outputs."""
    execution = factories.execution(factories.task(operator, groups=[web_group]), open_wave=40)
    run = factories.run(execution, factories.device("first"), status="running")
    with connection.cursor() as cursor:
        history.devices(cursor, str(run.device_id), DEVICES)
        history.runs(
            cursor,
            str(run.pk),
            DEVICES - 1,
            status=f"CASE WHEN {HAS_ENDED} THEN 'succeeded' ELSE {STATUS} END",
            finished_at=f"CASE WHEN {HAS_ENDED} THEN now() END",
            exit_code=f"CASE WHEN {HAS_ENDED} THEN 0 END",
            wave="1 + n / 1000",
            output_next=f"CASE WHEN {HAS_ENDED} THEN {len(OUTPUT)} ELSE 0 END",
            output_sha256=f"CASE WHEN {HAS_ENDED} THEN encode(sha256((n % 1000 / 2)::text::bytea),"
            " 'hex') ELSE '' END",
        )
        cursor.execute(
            'INSERT INTO scheduling_outputchunk (run_id, "offset", stream, data, written_at)'
            " SELECT id, 0, 'stdout', %s, now() FROM scheduled_task_device_runs"
            " WHERE output_next > 0",
            [OUTPUT],
        )
        # As PostgreSQL does by itself a little later.
        cursor.execute("ANALYZE devices_device, scheduled_task_device_runs")
    return execution


def test_its_page_is_small_and_asks_little(as_operator: Client, great: Execution) -> None:
    for query in ("", "?show=waiting&page=30", "?sort=-took", "?search=0049", "?output=different"):
        with CaptureQueriesContext(connection) as captured:
            answer = as_operator.get(great.get_absolute_url() + query)
        assert answer.status_code == 200
        assert len(captured) <= MOST_QUERIES, [one["sql"][:200] for one in captured]
        assert len(answer.content) < MOST_BYTES
    page = as_operator.get(great.get_absolute_url())
    counts = {one.name: one.count for one in page.context["headlines"]}
    assert counts["succeeded"] == 45_000
    assert sum(counts[name] for name in ("succeeded", "running", "waiting")) == DEVICES
    assert page.context["page"].paginator.num_pages == DEVICES // 50
    assert len(page.context["holdups"]) >= 2


def test_ended_it_asks_no_more(as_operator: Client, great: Execution) -> None:
    moment = timezone.now() + timedelta(seconds=1)
    great.runs.filter(status__in=["queued", "pending"]).update(
        status="skipped", finished_at=moment, started_at=None
    )
    great.runs.filter(status="running").update(status="failed", finished_at=moment)
    Execution.objects.filter(pk=great.pk).move(
        "partial", completed_at=moment, result={"devices_targeted": DEVICES, "counts": {}}
    )
    with CaptureQueriesContext(connection) as captured:
        answer = as_operator.get(great.get_absolute_url())
    assert len(captured) <= MOST_QUERIES
    assert len(answer.content) < MOST_BYTES
    assert "failed devices" in answer.content.decode()
