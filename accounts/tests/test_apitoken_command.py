"""`manage.py apitoken`."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from accounts import tokens
from accounts.models import ApiToken

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("apitoken", *arguments, stdout=out)
    return out.getvalue()


def test_add_prints_a_token_that_opens_the_door_and_nothing_else(ada: User) -> None:
    printed = run("add", "--user", "ada")
    assert printed == printed.strip() + "\n"
    token = tokens.find(printed.strip())
    assert token is not None
    assert (token.user, token.scopes, token.expires_at) == (ada, [], None)


def test_scopes_and_an_end_are_the_tokens_own(ada: User) -> None:
    run("add", "--user", "ada", "--scopes", "tasks:read, tasks:run", "--expires", "30d")
    token = ApiToken.objects.get()
    assert token.scopes == ["tasks:read", "tasks:run"]
    assert token.expires_at is not None
    assert (token.expires_at - token.created_at).days in (29, 30)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--user", "nobody"], "There is no user “nobody”."),
        (["--user", "ada", "--scopes", "everything"], "scopes: must be a list of: tasks:read"),
        (["--user", "ada", "--expires", "soon"], "“soon” is neither"),
        (["--user", "ada", "--expires", "2020-01-01"], "in the past"),
        (["--user", "ada", "--name", " "], "name: must have"),
    ],
)
def test_a_wrong_wish_is_an_error_and_makes_no_token(
    ada: User, arguments: Any, complaint: str
) -> None:
    with pytest.raises(CommandError, match=complaint):
        run("add", *arguments)
    assert not ApiToken.objects.exists()


def test_list_shows_whose_tokens_there_are_but_no_token(ada: User) -> None:
    User.objects.create_user("bob")
    key = run("add", "--user", "ada", "--name", "backup").strip()
    run("add", "--user", "bob", "--name", "deploy")
    assert "backup" in run("list")
    assert "deploy" in run("list")
    assert key not in run("list")
    assert "deploy" not in run("list", "--user", "ada")


def test_a_revoked_token_opens_nothing(ada: User) -> None:
    key = run("add", "--user", "ada").strip()
    assert run("revoke", str(ApiToken.objects.get().pk)) == "Revoked.\n"
    assert tokens.find(key) is None


def test_revoke_of_nothing_is_an_error() -> None:
    with pytest.raises(CommandError, match="no token"):
        run("revoke", "backup")
