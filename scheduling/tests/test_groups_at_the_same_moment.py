"""A group by query that two openings look at at once."""

from __future__ import annotations

import pytest
from django.db import transaction

from devices import groups, membership
from devices.models import Device
from scheduling import schedules
from scheduling.tests import factories
from scheduling.tests.test_claiming import at_once
from scheduling.tests.test_revoking_at_the_same_moment import meanwhile

pytestmark = pytest.mark.django_db(transaction=True)


def test_who_comes_second_runs_on_what_the_query_finds_then() -> None:
    admin = factories.person(is_administrator=True)
    factories.device("first")
    late = factories.device("late", os="macos")
    given = {"name": "Linux", "kind": "dynamic", "query": "os = linux"}
    group = groups.create(admin, given)
    task = factories.by_hand(admin, groups=[group])
    with transaction.atomic():
        membership.refresh_named([group.pk])
        at_once(1, lambda: Device.objects.filter(pk=late.pk).update(os="linux"))
        thread, answers = meanwhile(lambda: schedules.execute(task, admin))
    thread.join()
    (execution,) = answers
    assert set(execution.runs.values_list("device_name", flat=True)) == {"first", "late"}
