from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from accounts import tokens
from accounts.models import ApiToken

pytestmark = pytest.mark.django_db


def test_a_new_token_shows_once_and_works(as_operator: Client, operator: User) -> None:
    typed = {"name": "laptop", "expires_at": "30d", "scopes": ["tasks:read"]}
    answer = as_operator.post("/settings/tokens/", typed)
    key = answer.context["key"]
    assert key in answer.content.decode()
    assert '<button class="button with-script" type="button" data-copy=' in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    found = tokens.find(key)
    assert found is not None
    assert (found.user, found.name, found.scopes) == (operator, "laptop", ["tasks:read"])
    again = as_operator.get("/settings/tokens/").content.decode()
    assert key not in again
    assert "laptop" in again


def test_what_was_refused_stays_typed(as_operator: Client) -> None:
    typed = {"name": "", "expires_at": "whenever", "scopes": ["tasks:run"]}
    answer = as_operator.post("/settings/tokens/", typed)
    assert answer.context["form"].errors["expires_at"]
    assert 'value="whenever"' in answer.content.decode()
    assert not ApiToken.objects.exists()


def test_a_token_without_a_name_is_refused_beside_the_name(as_operator: Client) -> None:
    answer = as_operator.post("/settings/tokens/", {"name": "", "expires_at": ""})
    assert answer.context["form"].errors["name"]


def test_a_token_is_revoked_behind_a_confirmation(as_operator: Client, operator: User) -> None:
    token, key = tokens.issue(operator, "laptop")
    address = f"/settings/tokens/{token.pk}/revoke"
    assert f'href="{address}"' in as_operator.get("/settings/tokens/").content.decode()
    assert "It has never been used." in as_operator.get(address).content.decode()
    assert tokens.find(key) is not None
    page = as_operator.get(address).content.decode()
    assert "Revoke the token “laptop”?" in page
    assert "Whatever uses it is let in no more from now on." in page
    assert as_operator.post(address)["Location"] == "/settings/tokens/"
    assert tokens.find(key) is None


def test_nobody_sees_or_revokes_a_token_of_another(
    as_outsider: Client, as_admin: Client, operator: User
) -> None:
    token, key = tokens.issue(operator, "laptop")
    for client in (as_outsider, as_admin):
        assert "laptop" not in client.get("/settings/tokens/").content.decode()
        for ask in (client.get, client.post):
            assert ask(f"/settings/tokens/{token.pk}/revoke").status_code == 404
    assert tokens.find(key) is not None
