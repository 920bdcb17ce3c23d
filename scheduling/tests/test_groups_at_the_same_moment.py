"""Groups that two look at, or change, at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from psycopg.errors import ForeignKeyViolation

from accounts.errors import InvalidInput
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


def refusal(work: Callable[[], object]) -> Exception | None:
    try:
        work()
    except (InvalidInput, IntegrityError) as error:
        return error
    return None


def test_who_comes_second_for_a_name_is_told_that_it_is_taken(admin: User) -> None:
    with transaction.atomic():
        groups.create(admin, {"name": "lobby"})
        create = partial(groups.create, admin, {"name": "lobby"})
        thread, answers = meanwhile(lambda: refusal(create))
    thread.join()
    assert answers[0].errors == {"name": ["Another group has this name."]}


def test_a_person_who_is_deleted_meanwhile_is_no_name_that_is_taken(
    admin: User, operator: User
) -> None:
    group = factories.group("lobby")
    update = partial(groups.update, group, admin, {"people": [operator.pk]}, partial=True)
    with transaction.atomic():
        operator.delete()
        thread, answers = meanwhile(lambda: refusal(update))
    thread.join()
    assert isinstance(answers[0].__cause__, ForeignKeyViolation)
