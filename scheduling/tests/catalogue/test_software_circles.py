"""Software that needs other software, and never itself."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from accounts.errors import InvalidInput
from scheduling.catalogue import lookup, software
from scheduling.models import Software
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


def need(user: User, one: Software, *others: Software) -> None:
    given = {"dependency_ids": [str(other.pk) for other in others]}
    software.update(one, user, given, partial=True)


def test_a_circle_is_refused_and_the_path_is_named(admin: User) -> None:
    app, library, runtime = (
        factories.software(admin, name=name) for name in ("App", "Library", "Runtime")
    )
    need(admin, app, library)
    need(admin, library, runtime)
    with pytest.raises(InvalidInput, match=r"circle: Runtime 1.0 → App 1.0 → Library 1.0 → Runt"):
        need(admin, runtime, app)
    assert not runtime.dependencies.exists()


def test_nothing_needs_itself(admin: User) -> None:
    app = factories.software(admin, name="App")
    with pytest.raises(InvalidInput, match=r"circle: App 1.0 → App 1.0\."):
        need(admin, app, app)


def test_two_ways_to_the_same_are_no_circle(admin: User) -> None:
    app, one, two, both = (
        factories.software(admin, name=name) for name in ("App", "One", "Two", "Both")
    )
    need(admin, one, both)
    need(admin, two, both)
    need(admin, app, one, two)
    assert app.dependencies.count() == 2


def test_a_chain_is_installed_from_its_end_and_only_what_is_named_is_removed(admin: User) -> None:
    app, library, runtime = (
        factories.software(admin, name=name) for name in ("App", "Library", "Runtime")
    )
    need(admin, library, runtime)
    need(admin, app, library)
    assert ordered("install", app) == ["Runtime", "Library", "App"]
    assert ordered("install", runtime, app) == ["Runtime", "Library", "App"]
    assert ordered("uninstall", app) == ["App"]
    assert ordered("uninstall", runtime, app) == ["App", "Runtime"]


def ordered(action: str, *entries: Software) -> list[str]:
    """What a device is told to do it with, in this order."""
    payload = {"software_ids": [str(one.pk) for one in entries], "action": action}
    order = lookup.order_of("software_deployment", payload)
    return [one["name"] for one in order["software"]]
