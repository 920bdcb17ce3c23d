"""Valkey, which speaks Redis's protocol, on a socket in a folder of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from deployx.embedded.home import Home
from deployx.supervisor import Program


@dataclass(frozen=True, slots=True)
class Valkey:
    home: Home
    is_durable: bool = True

    @property
    def socket(self) -> Path:
        return self.home.sockets / "valkey.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}?db=0"

    def prepare(self) -> None:
        folder = self._folder
        if not folder.exists():
            folder.mkdir(mode=0o700)
            if self.home.account is not None:
                self.home.account.own(folder)

    def program(self) -> Program:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "appendonly": "yes" if self.is_durable else "no",
            "save": "",
            "loglevel": "warning",
            "databases": "32",
        }
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return Program(
            name="redis",
            argv=(str(self.home.binaries.valkey), *options),
            account=self.home.account,
            working_directory=self.home.data,
            is_ready=self._is_ready,
            log=self.home.log("redis"),
        )

    @property
    def _folder(self) -> Path:
        return self.home.data / "valkey"

    def _is_ready(self) -> bool:
        try:
            with Redis.from_url(self.url, socket_timeout=2) as client:
                return bool(client.ping())
        except (RedisError, OSError):
            return False
