"""`make screenshots` forgets no page."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

import pytest
from django.db import transaction
from django.urls import resolve

from scheduling.tests import factories
from tests.browser import album, scene, showcase


def names(paths: Iterable[str]) -> set[str | None]:
    return {resolve(urlsplit(path).path).url_name for path in paths}


@pytest.mark.django_db
def test_each_page_that_browsers_visit_has_a_picture() -> None:
    admin = factories.person("admin", is_administrator=True)
    with transaction.atomic():  # the two have devices and files of the same names
        device = factories.device("web-1")
        group = factories.group("web", devices=[device])
        visited = names(scene.addresses(admin, group, device))
        transaction.set_rollback(True)
    pictured = album.addresses(showcase.build(admin))
    assert visited - names([*album.ENTRANCE.values(), *pictured.values()]) == set()
