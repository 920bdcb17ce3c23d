"""What people get when the database is away, or when the server fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import InterfaceError, OperationalError, ProgrammingError, connections
from django.test import Client, RequestFactory

from accounts import database
from accounts.api.errors import handle
from deployx.errors import server_error, without_database


@pytest.fixture
def no_database(django_db_blocker: Any, tmp_path: Any) -> Iterator[None]:
    """Every query meets a socket on which nobody listens."""
    connection = connections["default"]
    before = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(HOST=str(tmp_path), NAME="nobody")
    with django_db_blocker.unblock():
        yield
    connection.close()
    connection.settings_dict.update(before)


@pytest.fixture
def visitor() -> Client:
    client = Client(raise_request_exception=False)
    client.cookies["sessionid"] = "of-somebody-who-was-signed-in-before"
    return client


@pytest.mark.parametrize("path", ["/", "/tasks/", "/devices/", "/settings/tokens/"])
def test_a_page_says_that_the_database_is_away(
    no_database: None, visitor: Client, path: str
) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 503
    assert "The database does not answer" in answer.content.decode()
    assert answer["Retry-After"] == "5"
    assert "default-src 'self'" in answer["Content-Security-Policy"]


def test_the_api_says_it_in_json(no_database: None, visitor: Client) -> None:
    answer = visitor.get("/api/schedule/tasks", headers={"Authorization": "Bearer dpx_whatever"})
    assert answer.status_code == 503
    assert answer.json() == {"detail": "The database does not answer at the moment."}


def raised(error: Exception, code: type[psycopg.Error] | None = None) -> Exception:
    error.__cause__ = code() if code else psycopg.OperationalError()
    return error


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (raised(OperationalError("connection refused")), True),
        (raised(OperationalError("shutdown"), psycopg.errors.AdminShutdown), True),
        (raised(OperationalError("full"), psycopg.errors.TooManyConnections), True),
        (InterfaceError("connection already closed"), True),
        (raised(OperationalError("deadlock"), psycopg.errors.DeadlockDetected), False),
        (raised(OperationalError("timeout"), psycopg.errors.QueryCanceled), False),
        (raised(ProgrammingError("syntax"), psycopg.errors.SyntaxError), False),
        (ValueError("ours"), False),
        (None, False),
    ],
)
def test_only_a_database_that_cannot_be_asked_is_away(error: Exception | None, away: bool) -> None:
    assert database.is_away(error) is away


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        (None, "The database does not answer at the moment."),
        (psycopg.errors.AdminShutdown, "The database does not answer at the moment."),
        (psycopg.errors.QueryCanceled, "The database could not do this at the moment."),
        (psycopg.errors.LockNotAvailable, "The database could not do this at the moment."),
    ],
)
def test_the_api_tells_a_database_that_is_away_from_one_that_took_too_long(
    code: type[psycopg.Error] | None, detail: str
) -> None:
    answer = handle(raised(OperationalError("whatever"), code), {})
    assert answer is not None
    assert (answer.status_code, answer.data) == (503, {"detail": detail})


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (None, "No connection to the database: canceling statement"),
        (psycopg.errors.QueryCanceled, "The database answered with an error: canceling statement"),
    ],
)
def test_a_command_says_what_the_database_did(
    code: type[psycopg.Error] | None, said: str, settings: Any
) -> None:
    settings.IS_EMBEDDED = False
    error = OperationalError("canceling statement\nCONTEXT: something")
    error.__cause__ = code() if code else None
    assert without_database(error) == said


def test_a_failure_of_our_own_is_a_500_that_tells_nothing() -> None:
    def fail(ask: Callable[[], Any]) -> Any:
        try:
            raise ValueError("secret detail")
        except ValueError:
            return ask()

    page = fail(lambda: server_error(RequestFactory().get("/tasks/")))
    assert page.status_code == 500
    assert "Something went wrong" in page.content.decode()
    assert "secret" not in page.content.decode()
    answer = fail(lambda: server_error(RequestFactory().get("/api/devices")))
    assert (answer.status_code, b"secret" in answer.content) == (500, False)


def test_a_page_that_is_not_there_says_so(db: None, visitor: Client) -> None:
    answer = visitor.get("/nowhere")
    assert answer.status_code == 404
    assert "There is no such page, or it is not yours to see." in answer.content.decode()


def test_not_being_allowed_is_said(db: None) -> None:
    client = Client()
    client.force_login(User.objects.create_user("somebody"))
    answer = client.get("/devices/new")
    assert answer.status_code == 403
    assert "You are signed in, but may not do this." in answer.content.decode()
