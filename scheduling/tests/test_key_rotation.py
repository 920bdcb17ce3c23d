"""Another signing key: what becomes of what was released, and of a rotation that is broken off."""

from __future__ import annotations

import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from devices import key_files, keys
from devices.agent import protocol
from devices.models import Device, ServerKey
from scheduling import ledger, rollout, rotation, schedules
from scheduling.models import DeviceRun
from scheduling.tests import factories


def released(user: User, on: Device, **changes: Any) -> DeviceRun:
    execution = schedules.execute(factories.by_hand(user, devices=[on], **changes), user)
    rollout.advance(execution.pk)
    return execution.runs.get()


def is_signed(run: DeviceRun) -> bool:
    """By the key that is the current one now."""
    run.refresh_from_db()
    assert run.terms is not None
    assert run.signature is not None
    message = protocol.run_bytes(bytes(run.terms))
    key = keys.current_public_key()
    return run.key_id == protocol.key_id(key) and protocol.verify(
        key, bytes(run.signature), message
    )


def test_what_waits_is_signed_anew_and_stays_the_same_run(
    admin: User, web_device: Device, signer: str
) -> None:
    queued, claimed = released(admin, web_device), released(admin, web_device)
    ledger.claim([factories.session_of(web_device)])
    terms = bytes(queued.terms or b"")

    done = rotation.rotate()

    assert (done.signed_anew, done.cancelled, done.left) == (2, 0, 0)
    assert done.key_id != signer
    assert is_signed(queued)
    assert is_signed(claimed)
    assert bytes(queued.terms or b"") == terms


def test_what_was_altered_since_it_was_signed_is_not_signed_anew(
    admin: User, web_device: Device, signer: str
) -> None:
    run = released(admin, web_device)
    DeviceRun.objects.filter(pk=run.pk).update(terms=bytes(run.terms or b"") + b" ")

    done = rotation.rotate()

    assert (done.signed_anew, done.left) == (0, 1)
    run.refresh_from_db()
    assert (run.status, run.key_id) == ("queued", signer)


@pytest.mark.usefixtures("signer")
def test_after_a_compromise_what_waits_is_cancelled_and_what_runs_goes_on(
    admin: User, web_device: Device
) -> None:
    queued, claimed, running = (released(admin, web_device) for _number in range(3))
    session = factories.session_of(web_device)
    ledger.claim([session])
    ledger.start([(session, running.pk)])
    DeviceRun.objects.filter(pk=queued.pk).move("queued", claim_session=None)

    done = rotation.rotate_compromised()

    assert (done.signed_anew, done.cancelled) == (0, 2)
    for run, status in ((queued, "cancelled"), (claimed, "cancelled"), (running, "running")):
        run.refresh_from_db()
        assert run.status == status
        assert "key" in run.error_message or status == "running"


@pytest.mark.usefixtures("signer")
def test_a_device_in_recovery_may_have_started_and_is_only_asked(
    admin: User, web_device: Device
) -> None:
    run = released(admin, web_device)
    Device.objects.update(in_recovery=True)

    assert rotation.rotate_compromised().cancelled == 0

    run.refresh_from_db()
    assert (run.status, run.cancel_requested_at is None) == ("queued", False)


def test_whoever_pinned_any_earlier_key_can_follow_to_the_newest(signer: str) -> None:
    first = keys.current_public_key()
    key_ids = [signer, *(rotation.rotate().key_id for _number in range(3))]

    chain = keys.chain()

    assert [link.key_id for link in chain] == key_ids
    server = str(keys.server_id())
    assert protocol.newest_key(chain, server, first) == keys.current_public_key()
    assert protocol.newest_key(chain, server, chain[2].public_key) == chain[3].public_key


@pytest.mark.usefixtures("signer")
def test_the_old_private_half_is_gone_and_the_new_one_is_the_owners_alone(
    signing_key: Path,
) -> None:
    before = signing_key.read_bytes()
    rotation.rotate()
    assert signing_key.read_bytes() != before
    assert stat.S_IMODE(signing_key.stat().st_mode) == 0o600
    assert {path.name for path in signing_key.parent.iterdir()} == {
        "signing.key",
        "signing.key.lock",
    }


def test_who_still_has_the_old_file_signs_nothing(
    admin: User, web_device: Device, signer: str, signing_key: Path
) -> None:
    """As on a second worker's machine that nobody has copied the new file to."""
    old = signing_key.read_bytes()
    new = rotation.rotate().key_id
    signing_key.write_bytes(old)
    with pytest.raises(keys.SigningKeyError, match=f"holds the key {signer}.*is {new}"):
        released(admin, web_device)


def broken(*args: Any) -> Any:
    raise KeyboardInterrupt


def test_broken_off_before_the_switch_nothing_has_changed(
    admin: User, web_device: Device, signer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = released(admin, web_device)
    with monkeypatch.context() as patched:
        patched.setattr("scheduling.rotation._write", broken)
        with pytest.raises(KeyboardInterrupt):
            rotation.rotate()
    assert keys.current_signer().key_id == signer
    assert is_signed(run)
    begun = protocol.key_id(protocol.public_key_of(key_files.read(key_files.successor())))
    assert rotation.rotate().key_id == begun
    assert is_signed(run)


def test_broken_off_after_the_switch_the_new_key_signs(
    admin: User, web_device: Device, signer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(key_files, "succeed", broken)
        with pytest.raises(KeyboardInterrupt):
            rotation.rotate()
    switched = keys.current_signer().key_id
    assert switched != signer
    assert is_signed(released(admin, web_device))
    assert keys.ensure_key() == switched
    assert not key_files.successor().exists()
    assert rotation.rotate().key_id not in {signer, switched}


@pytest.mark.usefixtures("signer")
def test_of_two_rotations_at_once_one_is_refused() -> None:
    with key_files.held(), pytest.raises(keys.SigningKeyError, match="under way"):
        rotation.rotate()
    assert ServerKey.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("sent")
def test_a_release_under_way_is_waited_for_and_signed_anew() -> None:
    keys.ensure_key()
    admin = factories.person("admin", is_administrator=True)
    execution = schedules.execute(factories.by_hand(admin, devices=[factories.device()]), admin)
    done: list[rotation.Rotated] = []

    def rotate() -> None:
        done.append(rotation.rotate())
        connection.close()

    thread = threading.Thread(target=rotate)
    with transaction.atomic():
        rollout.advance(execution.pk)
        thread.start()
        while not is_somebody_waiting():
            assert thread.is_alive()
        assert not done
    thread.join()
    assert done[0].signed_anew == 1
    assert is_signed(execution.runs.get())


def is_somebody_waiting() -> bool:
    """For what this connection holds; other tests have theirs in the same PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return cursor.fetchone() is not None


def test_the_command_says_what_it_did(
    admin: User, web_device: Device, signer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    released(admin, web_device)
    call_command("keys", "rotate")
    said = capsys.readouterr().out
    assert f"The key is now {keys.current_signer().key_id}." in said
    assert "Waiting runs signed anew: 1." in said
    call_command("keys", "rotate", "--compromised")
    said = capsys.readouterr().out
    assert "Waiting runs cancelled: 1." in said
    call_command("keys", "list")
    _heading, first, second, third = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in (first, second, third)] == [
        link.key_id for link in keys.chain()
    ]
    assert protocol.fingerprint(keys.current_public_key()) in third


@pytest.mark.django_db
def test_without_the_file_the_command_says_so(signing_key: Path) -> None:
    call_command("keys", "ensure")
    signing_key.unlink()
    with pytest.raises(CommandError, match="signing key"):
        call_command("keys", "rotate")


def test_no_private_half_is_in_the_database(signer: str, signing_key: Path) -> None:
    old = key_files.read(signing_key)
    rotation.rotate()
    for private in (old, key_files.read(signing_key)):
        stored = [*ServerKey.objects.values_list("public_key", "signature")]
        assert all(private not in bytes(value or b"") for row in stored for value in row)
