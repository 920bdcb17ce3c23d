"""A PostgreSQL that has its tables already, for systems to begin with: making them takes ten seconds."""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from deployx.embedded.home import Home
from deployx.embedded.postgres import Postgres

CHECKOUT = Path(__file__).resolve().parent.parent


@functools.cache
def tables() -> Path:
    """The data of a server that was migrated and has stopped; made once in a process of tests."""
    folder = tempfile.TemporaryDirectory(prefix="deployx-prepared-")
    atexit.register(folder.cleanup)
    place = Path(folder.name)
    place.chmod(0o711)
    home = Home.of(place)
    if home.is_moved:
        atexit.register(subprocess.run, ["rm", "-rf", str(home.data.parent)], check=False)
    postgres = Postgres(home, is_durable=False)
    postgres.prepare()
    server = postgres.program().start(subprocess.DEVNULL)
    try:
        server.wait_until_ready()
        postgres.create_database()
        _migrate(postgres.url, place)
    finally:
        server.stop()
    return postgres.folder


def begin(home: Home) -> None:
    """Gives a home that has no data yet a copy of it."""
    subprocess.run(["cp", "-a", str(tables()), str(Postgres(home).folder)], check=True)


def _migrate(url: str, place: Path) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "deployx.settings",
        "DATABASE_URL": url,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "DEPLOYX_SECRET_KEY": "for-the-tables-alone-" + "0123456789" * 4,
        "DEPLOYX_SIGNING_KEY_FILE": str(place / "signing.key"),
    }
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=CHECKOUT,
        env=environment,
        check=True,
        timeout=240,
    )
