"""What every connection of ours asks of PostgreSQL."""

from __future__ import annotations

import pytest
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
