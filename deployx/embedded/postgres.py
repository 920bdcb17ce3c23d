"""PostgreSQL 18 on a socket in a folder of its own; it listens on no network address."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from deployx.embedded.home import Home
from deployx.supervisor import Program

USER = DATABASE = "deployx"
MAX_CONNECTIONS = 200


class CannotInitialise(RuntimeError):
    """The cluster could not be made; the text is PostgreSQL's own."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """`is_durable` False gives up what a crash would need, for data that a test throws away."""

    home: Home
    is_durable: bool = True

    @property
    def folder(self) -> Path:
        return self.home.data / "postgres"

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@/{DATABASE}?host={quote(str(self.home.sockets))}"

    def program(self) -> Program:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.home.sockets),
            "unix_socket_permissions": "0700",
            "max_connections": str(MAX_CONNECTIONS),
            "log_timezone": "UTC",
            "timezone": "UTC",
            "log_min_messages": "warning",
            # Where this process is killed, what its sessions held is free again within seconds.
            "client_connection_check_interval": "10s",
        }
        if not self.is_durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            argv=(str(self.home.binaries.postgres / "postgres"), "-D", str(self.folder), *options),
            account=self.home.account,
            # SIGTERM would wait for every client to leave; SIGINT rolls back and shuts down.
            stop_signal=signal.SIGINT,
            working_directory=self.home.data,
            is_ready=self._is_ready,
            log=self.home.log("postgres"),
        )

    def prepare(self) -> None:
        """Makes the cluster where there is none. Raises CannotInitialise."""
        if (self.folder / "PG_VERSION").exists():
            return
        argv = [
            str(self.home.binaries.postgres / "initdb"),
            "-D", str(self.folder),
            "--username", USER,
            # Whoever reaches the socket may enter: its folder lets in nobody else.
            "--auth", "trust",
            "--encoding", "UTF8",
            "--locale", "C",
            "--locale-provider", "builtin",
            "--builtin-locale", "C.UTF-8",
            *([] if self.is_durable else ["--no-sync"]),
        ]  # fmt: skip
        account: Any = self.home.account.as_arguments() if self.home.account else {}
        done = subprocess.run(
            argv,
            cwd=self.home.data,
            capture_output=True,
            text=True,
            check=False,
            env={"LC_ALL": "C"},
            **account,
        )
        if done.returncode != 0:
            raise CannotInitialise(done.stderr.strip() or done.stdout.strip())

    def create_database(self) -> None:
        """Makes the database where there is none; the server is ready."""
        with psycopg.connect(self._maintenance, autocommit=True) as connection:
            known = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
            ).fetchone()
            if known is None:
                connection.execute(f'CREATE DATABASE "{DATABASE}"')

    @property
    def _maintenance(self) -> str:
        return f"host='{self.home.sockets}' user={USER} dbname=postgres connect_timeout=2"

    def _is_ready(self) -> bool:
        try:
            psycopg.connect(self._maintenance).close()
        except psycopg.OperationalError:
            return False
        return True
