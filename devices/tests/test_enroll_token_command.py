"""`manage.py enroll-token`."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from devices import enrollment, keys
from devices.models import Device, DeviceGroup, EnrollmentToken
from devices.tests import enrolling
from devices.tests.fakes import FakeLedger

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("enroll-token", *arguments, stdout=out)
    return out.getvalue()


def test_add_prints_a_token_that_works_and_nothing_else(ledger: FakeLedger) -> None:
    keys.ensure_key()
    DeviceGroup.objects.create(name="web")
    printed = run("add", "--group", "web", "--uses", "3", "--expires", "2h", "--name", "rack 7")
    assert printed == printed.strip() + "\n"
    enrollment.enroll(enrolling.body(printed.strip()))
    token = EnrollmentToken.objects.get()
    assert (token.name, token.uses_limit, token.uses_count) == ("rack 7", 3, 1)
    assert round((token.expires_at - token.created_at).total_seconds()) == 7200
    assert Device.objects.get().groups.get().name == "web"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--group", "nowhere"], "There is no group “nowhere”."),
        (["--uses", "0"], "uses_limit"),
        (["--expires", "soon"], "“soon” is neither"),
        (["--expires", "2020-01-01"], "in the past"),
    ],
)
def test_a_wrong_wish_is_an_error_and_makes_no_token(arguments: Any, complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        run("add", *arguments)
    assert not EnrollmentToken.objects.exists()


def test_list_shows_what_a_token_may_but_not_the_token() -> None:
    text = run("add", "--name", "rack 7").strip()
    listed = run("list")
    assert str(EnrollmentToken.objects.get().pk) in listed
    assert "rack 7" in listed
    assert "0/1" in listed
    assert text not in listed


def test_revoke_takes_the_id_that_list_shows() -> None:
    run("add")
    token = EnrollmentToken.objects.get()
    assert run("revoke", str(token.pk)) == "Revoked.\n"
    token.refresh_from_db()
    assert token.status == "revoked"
    with pytest.raises(CommandError, match="revoked already"):
        run("revoke", str(token.pk))


def test_revoke_of_nothing_is_an_error() -> None:
    with pytest.raises(CommandError, match="no enrolment token"):
        run("revoke", "rack 7")
