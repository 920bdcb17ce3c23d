"""The services out of wheels: where they live, who may enter, and how others find them."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from deployx.embedded import binaries, discovery
from deployx.embedded.binaries import Binaries, NoWheel
from deployx.embedded.home import LONGEST_SOCKET_FOLDER, Home
from deployx.embedded.throwaway import Throwaway


@pytest.fixture
def services() -> Iterator[Throwaway]:
    services = Throwaway()
    services.start()
    yield services
    services.stop()


def test_both_answer_on_sockets_that_only_their_owner_enters(services: Throwaway) -> None:
    with psycopg.connect(services.database_url) as connection:
        (version,) = connection.execute("SHOW server_version_num").fetchone() or ("",)
        (addresses,) = connection.execute("SHOW listen_addresses").fetchone() or ("?",)
    assert (version[:2], addresses) == ("18", "")
    with Redis.from_url(services.redis_url) as client:
        assert client.ping()
        assert client.config_get("port") == {"port": "0"}
    socket = Path(services.redis_url.removeprefix("unix://").partition("?")[0])
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


def test_nothing_is_left_of_a_throwaway() -> None:
    services = Throwaway()
    services.start()
    folder = Path(services.redis_url.removeprefix("unix://").partition("?")[0]).parent.parent
    assert folder.exists()
    services.stop()
    assert not folder.exists()


def test_programs_installed_for_their_owner_only_run_as_another(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = Binaries.installed().copied_to(open_folder / "site-packages")
    package = private.postgres.parents[1]
    before = os.umask(0o077)
    try:
        for path in (package, *package.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o700)
        copy = private.copied_to(open_folder / "copy")
    finally:
        os.umask(before)
    program = copy.postgres / "postgres"
    inside = [one for one in program.parents if one.is_relative_to(open_folder / "copy")][:-1]
    assert all(one.stat().st_mode & stat.S_IXOTH for one in (program, *inside))


def test_copied_programs_run_where_they_are(tmp_path: Path) -> None:
    copy = Binaries.installed().copied_to(tmp_path)
    for program in (copy.postgres / "postgres", copy.postgres / "initdb", copy.valkey):
        assert program.is_relative_to(tmp_path)
        assert subprocess.run([program, "--version"], check=False).returncode == 0
    assert Binaries.installed().copied_to(tmp_path) == copy


def test_a_platform_without_a_wheel_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_package", lambda name: None)
    with pytest.raises(NoWheel, match=r"No embedded PostgreSQL for .*set DATABASE_URL"):
        Binaries.installed()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account may pass through, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="deployx-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def test_a_deep_checkout_has_its_sockets_elsewhere(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = Binaries.installed().copied_to(open_folder)  # this checkout may be out of reach
    monkeypatch.setattr(Binaries, "installed", lambda: programs)
    deep = open_folder.joinpath(*["a folder with a long name"] * 5)
    home, other = Home.of(deep), Home.of(deep / "another")
    assert not home.is_moved
    assert len(str(home.sockets)) <= LONGEST_SOCKET_FOLDER
    assert home.sockets != other.sockets
    for one in (home, other):
        one.sockets.rmdir()


def test_what_runs_is_found_and_forgotten(tmp_path: Path) -> None:
    running = discovery.Running("postgresql://a", "unix://b", "http://c")
    running.write(tmp_path)
    assert discovery.Running.read(tmp_path) == running
    assert stat.S_IMODE((tmp_path / "services.json").stat().st_mode) == 0o600
    discovery.forget(tmp_path)
    assert discovery.Running.read(tmp_path) is None


def test_a_secret_is_made_once_and_private(tmp_path: Path) -> None:
    secret = discovery.secret(tmp_path, "secret.key")
    assert len(secret) >= 50
    assert discovery.secret(tmp_path, "secret.key") == secret
    assert stat.S_IMODE((tmp_path / "keys" / "secret.key").stat().st_mode) == 0o600
