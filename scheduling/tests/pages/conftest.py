from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client

from scheduling import health


@pytest.fixture(autouse=True)
def no_memory_of_health() -> Iterator[None]:
    """What an earlier test found well or ill is not shown to the next."""
    health.forget_checks()
    yield
    health.forget_checks()


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def as_admin(admin: User) -> Client:
    return signed_in(admin)


@pytest.fixture
def as_operator(operator: User) -> Client:
    return signed_in(operator)


@pytest.fixture
def as_outsider(outsider: User) -> Client:
    return signed_in(outsider)
