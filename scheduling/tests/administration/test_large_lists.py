"""No page of the admin costs more because the history is long."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import administration
from scheduling.tests.administration.conftest import registered, url

each_model = pytest.mark.parametrize("model", registered(), ids=lambda model: model.__name__)


@each_model
def test_no_list_counts_or_measures_its_whole_table(
    office: Client, everything: Model, model: type[Model]
) -> None:
    with CaptureQueriesContext(connection) as asked:
        office.get(url(model, "changelist"))
    table = model._meta.db_table
    lists = [one["sql"] for one in asked.captured_queries if f'FROM "{table}"' in one["sql"]]
    whole = [sql for sql in lists if "COUNT(*)" in sql or "MIN(" in sql or "MAX(" in sql]
    assert whole
    assert [sql for sql in whole if "LIMIT 10001" not in sql] == []


def test_a_list_longer_than_it_counts_shows_its_first_pages(
    office: Client, everything: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = type(everything)
    monkeypatch.setattr(administration, "COUNT_LIMIT", 0)
    assert office.get(url(model, "changelist")).status_code == 200
