"""What every connection of ours asks of PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

LIMITS = {
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "statement_timeout",
    "tcp_keepalives_count",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_user_timeout",
}


@pytest.mark.django_db
def test_the_server_itself_frees_what_a_stopped_or_cut_off_process_held() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_settings WHERE source = 'client'")
        asked = {name for (name,) in cursor.fetchall()}
    assert asked >= LIMITS


SLOW_MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = []
    operations = [migrations.RunSQL("SELECT pg_sleep(0.5)", migrations.RunSQL.noop)]
"""


@pytest.mark.django_db(transaction=True)
def test_a_migration_may_take_longer_than_any_other_statement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    package = tmp_path / "thrown_away"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "0001_slow.py").write_text(SLOW_MIGRATION)
    monkeypatch.syspath_prepend(tmp_path)
    settings.MIGRATION_MODULES = {"deployx": package.name}
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '250ms'")
    call_command("migrate", "deployx", verbosity=0)
    assert limits() == ("30s", "5s")
    call_command("migrate", "deployx", "zero", verbosity=0)


def limits() -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
        )
        statement, lock = cursor.fetchone()
    return statement, lock
