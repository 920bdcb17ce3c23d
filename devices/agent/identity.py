"""Who this agent is, and which server it trusts: `agent.key` and `server.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from . import durable
from .addresses import objection
from .config import ConfigError, StateDir
from .protocol import (
    ServerKey,
    fingerprint,
    key_id,
    new_private_key,
    newest_key,
    public_key_of,
    sign,
)


@dataclass(frozen=True, slots=True)
class Server:
    """`key` is the pinned server key, raw, in hex: the newest one this agent has seen."""

    url: str
    socket: str
    server_id: str
    device_id: str
    name: str
    key: str

    @property
    def public_key(self) -> bytes:
        return bytes.fromhex(self.key)

    @property
    def key_id(self) -> str:
        return key_id(self.public_key)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.public_key)

    def following(self, chain: Sequence[ServerKey]) -> Server | None:
        """This record with the key the chain leads to; None when it does not lead there from
        the pinned key, and so nothing this server signs can be trusted."""
        newest = newest_key(chain, self.server_id, self.public_key)
        return None if newest is None else self.trusting(newest)

    def trusting(self, public_key: bytes) -> Server:
        return replace(self, key=public_key.hex())


@dataclass(frozen=True, slots=True)
class DeviceKey:
    private: bytes

    @property
    def public(self) -> bytes:
        return public_key_of(self.private)

    def sign(self, message: bytes) -> bytes:
        return sign(self.private, message)


def create_key(state: StateDir) -> DeviceKey:
    key = DeviceKey(new_private_key())
    durable.write(state.key, key.private.hex().encode() + b"\n")
    return key


def load_key(state: StateDir) -> DeviceKey:
    """Raises ConfigError when there is none."""
    try:
        private = bytes.fromhex(state.key.read_text())
        public_key_of(private)
    except FileNotFoundError:
        raise _not_enrolled(state) from None
    except ValueError:
        raise ConfigError(f"{state.key} does not hold an agent's key") from None
    return DeviceKey(private)


def save_server(state: StateDir, server: Server) -> None:
    durable.write(state.server, json.dumps(asdict(server), indent=1).encode() + b"\n")


def load_server(state: StateDir) -> Server:
    """Raises ConfigError when the agent has not been enrolled."""
    try:
        raw = json.loads(state.server.read_text())
        server = Server(**raw)
        if len(server.public_key) != 32:
            raise ValueError("not a key")
    except FileNotFoundError:
        raise _not_enrolled(state) from None
    except (TypeError, ValueError):
        raise ConfigError(f"{state.server} is damaged; enrol again with --force") from None
    if problem := objection(server.socket, "wss", "ws"):
        raise ConfigError(f"{state.server} names an address that cannot be used: {problem}")
    return server


def _not_enrolled(state: StateDir) -> ConfigError:
    return ConfigError(f"not enrolled: {state.path} holds no identity; run deployx-agent enroll")
