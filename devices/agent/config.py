"""Where the agent keeps its things, and what its environment may change."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .platforms import default_state_dir

POLICY = Path("/etc/deployx-agent/policy.toml")
MIN_FREE_BYTES = 32 * 1024 * 1024
KILL_GRACE_SECONDS = 10.0
TRIAL_SECONDS = 90.0
"""How long another version has to be welcomed by the server before it takes this one's place."""


class ConfigError(ValueError):
    """The agent was told something it cannot use; the text is for the person who told it."""


@dataclass(frozen=True, slots=True)
class StateDir:
    """The one folder of an agent, 0700; everything in it is the agent's own."""

    path: Path

    @classmethod
    def at(cls, path: str | Path | None) -> StateDir:
        given = path or os.environ.get("DEPLOYX_AGENT_STATE_DIR")
        return cls(Path(given) if given else default_state_dir())

    def create(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.chmod(0o700)
        self.runs.mkdir(exist_ok=True, mode=0o700)

    @property
    def key(self) -> Path:
        return self.path / "agent.key"

    @property
    def server(self) -> Path:
        return self.path / "server.json"

    @property
    def journal(self) -> Path:
        return self.path / "journal"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def files(self) -> Path:
        """What runs fetched, kept for others."""
        return self.path / "files"

    @property
    def memories(self) -> Path:
        return self.path / "memory"

    def run(self, run: str) -> Path:
        return self.runs / run

    def memory(self, kind: str) -> Path:
        """What a kind keeps between its runs."""
        return self.memories / kind


@dataclass(frozen=True, slots=True)
class Settings:
    """None leaves the interval to the server."""

    reconnect_min_seconds: float = 1.0
    reconnect_max_seconds: float = 60.0
    heartbeat_seconds: float | None = None
    poll_seconds: float | None = None
    repeat_seconds: float = 5.0
    kill_grace_seconds: float = KILL_GRACE_SECONDS
    min_free_bytes: int = MIN_FREE_BYTES
    trial_seconds: float = TRIAL_SECONDS
    policy: Path = POLICY
    policy_is_default: bool = True

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Raises ConfigError naming the variable."""
        most = _positive(environment, "DEPLOYX_AGENT_RECONNECT_MAX_SECONDS") or 60.0
        policy = environment.get("DEPLOYX_AGENT_POLICY")
        free = _positive(environment, "DEPLOYX_AGENT_MIN_FREE_BYTES")
        grace = _positive(environment, "DEPLOYX_AGENT_KILL_GRACE_SECONDS")
        return cls(
            reconnect_min_seconds=min(1.0, most),
            reconnect_max_seconds=most,
            heartbeat_seconds=_positive(environment, "DEPLOYX_AGENT_HEARTBEAT_SECONDS"),
            poll_seconds=_positive(environment, "DEPLOYX_AGENT_POLL_SECONDS"),
            repeat_seconds=_positive(environment, "DEPLOYX_AGENT_REPEAT_SECONDS") or 5.0,
            kill_grace_seconds=grace or KILL_GRACE_SECONDS,
            min_free_bytes=MIN_FREE_BYTES if free is None else int(free),
            trial_seconds=_positive(environment, "DEPLOYX_AGENT_TRIAL_SECONDS") or TRIAL_SECONDS,
            policy=Path(policy) if policy else POLICY,
            policy_is_default=not policy,
        )


def _positive(environment: Mapping[str, str], name: str) -> float | None:
    value = environment.get(name)
    if not value:
        return None
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise ConfigError(f"{name} must be a number above 0, not {value!r}")
    return number
