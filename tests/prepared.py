"""A PostgreSQL that has its tables already, for tests to begin with: making them takes ten seconds."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deployx.embedded.home import Home
from deployx.embedded.postgres import DATABASE, Postgres

CHECKOUT = Path(__file__).resolve().parent.parent
PRODUCT = ("accounts", "deployx", "devices", "scheduling")
TEMPLATE = DATABASE
"""The database to copy, on a server that began with the tables."""


def begin(home: Home) -> None:
    """Gives a home that has no data yet a server's data with all tables, and nothing in them."""
    subprocess.run(["tar", "-xpf", str(_tables()), "-C", str(home.data)], check=True)


def _tables() -> Path:
    """The data of a server that was migrated and has stopped; kept until the product changes, which
    it may do between two tests: another run then makes it anew, and removes the old."""
    archive = CHECKOUT / ".pytest_cache" / f"tables-{_version()}.tar"
    if not archive.exists():
        archive.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="deployx-prepared-") as folder:
            _make(Path(folder), archive)
    return archive


def _version() -> str:
    """Of all that says what a migration does."""
    digest = hashlib.sha256()
    for path in [*sorted(CHECKOUT.glob("requirements*.txt")), *_sources()]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _sources() -> list[Path]:
    found = [path for part in PRODUCT for path in (CHECKOUT / part).rglob("*.py")]
    return sorted(path for path in found if "tests" not in path.parts)


def _make(folder: Path, archive: Path) -> None:
    folder.chmod(0o711)
    home = Home.of(folder)
    postgres = Postgres(home, is_durable=False)
    try:
        postgres.prepare()
        server = postgres.program().start(subprocess.DEVNULL)
        try:
            server.wait_until_ready()
            postgres.create_database()
            _migrate(postgres.url, folder)
        finally:
            server.stop()
        made = archive.with_suffix(f".{os.getpid()}")
        subprocess.run(["tar", "-cf", made, "-C", home.data, postgres.folder.name], check=True)
    finally:
        if home.is_moved:
            shutil.rmtree(home.data.parent, ignore_errors=True)
    # Another process may have made it meanwhile, and begin with it at this moment.
    made.replace(archive)
    for old in archive.parent.glob("tables-*.tar"):
        if old != archive:
            old.unlink(missing_ok=True)


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
