from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client

from deployx import settings as product_settings

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    return User.objects.create_user("operator", "operator@example.net", "password")


def test_signing_in_leads_to_where_one_wanted_to_go(person: User, client: Client) -> None:
    wanted = client.get("/tasks/?status=failed")["Location"]
    answer = client.post(
        wanted, {"login": "operator", "password": "password", "next": "/tasks/?status=failed"}
    )
    assert answer["Location"] == "/tasks/?status=failed"


def test_a_wrong_password_keeps_the_name_and_says_so(person: User, client: Client) -> None:
    answer = client.post("/accounts/login/", {"login": "operator", "password": "wrong"})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert 'value="operator"' in page
    assert 'role="alert"' in page


def test_signing_out_is_a_post_and_ends_the_session(person: User, client: Client) -> None:
    client.force_login(person)
    assert "Sign out?" in client.get("/accounts/logout/").content.decode()
    assert client.get("/tasks/").status_code == 200
    client.post("/accounts/logout/")
    assert client.get("/tasks/").status_code == 302


def test_nobody_signs_up(client: Client) -> None:
    assert "made by administrators" in client.get("/accounts/signup/").content.decode()
    typed = {"username": "me", "password1": "long-enough-9", "password2": "long-enough-9"}
    client.post("/accounts/signup/", typed)
    assert not User.objects.exists()


def test_a_forgotten_password_is_reset_by_mail(person: User, client: Client) -> None:
    client.post("/accounts/password/reset/", {"email": "operator@example.net"})
    (link,) = re.findall(r"http://testserver(/\S+)", str(mail.outbox[0].body))
    form = client.get(link, follow=True)
    address = form.redirect_chain[-1][0]
    new = {"password1": "another-one-9", "password2": "another-one-9"}
    done = client.post(address, new, follow=True)
    assert "Your password is changed" in done.content.decode()
    assert client.login(username="operator", password="another-one-9")


def test_by_default_no_link_to_a_new_password_is_made(
    person: User, client: Client, settings: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    settings.EMAIL_BACKEND = product_settings.EMAIL_BACKEND
    assert "Ask an administrator" in client.get("/accounts/password/reset/").content.decode()
    answer = client.post("/accounts/password/reset/", {"email": "operator@example.net"})
    assert "Ask an administrator" in answer.content.decode()
    said = capfd.readouterr()
    assert "/password/reset/key/" not in said.out + said.err


def test_an_address_nobody_has_is_answered_alike(person: User, client: Client) -> None:
    known = client.post("/accounts/password/reset/", {"email": "operator@example.net"})
    unknown = client.post("/accounts/password/reset/", {"email": "nobody@example.net"})
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])


def test_the_password_is_changed_by_who_knows_the_old_one(person: User, client: Client) -> None:
    client.force_login(person)
    typed = {"password1": "another-one-9", "password2": "another-one-9"}
    refused = client.post("/accounts/password/change/", {"oldpassword": "wrong", **typed})
    assert refused.status_code == 200
    client.post("/accounts/password/change/", {"oldpassword": "password", **typed})
    assert client.login(username="operator", password="another-one-9")


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/login/",
        "/accounts/password/reset/",
        "/accounts/password/reset/done/",
        "/accounts/password/reset/key/x-y/",
        "/accounts/password/reset/key/done/",
        "/accounts/inactive/",
    ],
)
def test_each_page_before_the_sign_in_is_one_of_ours(client: Client, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 200
    assert 'class="entrance"' in page.content.decode()


@pytest.mark.parametrize("path", ["/accounts/email/", "/accounts/reauthenticate/"])
def test_so_is_each_page_about_ones_own_account(person: User, client: Client, path: str) -> None:
    client.force_login(person)
    page = client.get(path)
    assert page.status_code == 200
    assert 'class="entrance"' in page.content.decode()
