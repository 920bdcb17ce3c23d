"""Breaks several things of a system at a time, at random, and mends each again a little later."""

from __future__ import annotations

import heapq
import itertools
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import psutil
from redis.exceptions import RedisError

from tests.faults.fleet import Device
from tests.faults.ground import Ground
from tests.faults.mischief import flush, limit_memory
from tests.faults.site import SERVICES, pause

Mend = Callable[[], None]
# Who mends has no time to wait for a Redis that hangs.
PATIENCE_SECONDS = 2.0


@dataclass(slots=True)
class Nemesis:
    """One act every `apart_seconds` or so; what is broken already is left alone. Acts and mending
    are done by the thread that calls `rage`. `done` counts the acts by their name."""

    on: Ground
    chance: random.Random
    apart_seconds: float = 1.5
    longest_hang_seconds: float = 20.0
    done: Counter[str] = field(default_factory=Counter)
    _broken: set[str] = field(default_factory=set)
    _mends: list[tuple[float, int, str, Mend]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)

    def rage(self, seconds: float, *, until_true: Callable[[], bool] = lambda: True) -> None:
        """For so long, and then until the condition holds; in the end everything is mended."""
        over = time.monotonic() + seconds
        acts = self._acts()
        names, weights = list(acts), [weight for weight, _act in acts.values()]
        try:
            while time.monotonic() < over or not until_true():
                (name,) = self.chance.choices(names, weights)
                if name not in self._broken:
                    self.done[name] += 1
                    acts[name][1]()
                pause(self.chance.uniform(0, 2 * self.apart_seconds))
                self._mend(time.monotonic())
        finally:
            self._mend(float("inf"))

    def _acts(self) -> dict[str, tuple[int, Callable[[], None]]]:
        """By name: how often against the others, and what is done."""
        return {
            "web killed": (4, lambda: self._kill("web")),
            "worker killed": (4, lambda: self._kill("worker")),
            "beat killed": (2, lambda: self._kill("beat")),
            "PostgreSQL killed": (1, lambda: self._kill("postgres")),
            "Redis killed": (2, lambda: self._kill("redis")),
            "web hung": (1, lambda: self._hang("web")),
            "worker hung": (1, lambda: self._hang("worker")),
            "PostgreSQL hung": (1, lambda: self._hang("postgres")),
            "Redis hung": (1, lambda: self._hang("redis")),
            "Redis flushed": (2, lambda: self._harm_redis("Redis flushed")),
            "Redis full": (1, lambda: self._harm_redis("Redis full")),
            "agent killed": (10, self._kill_agent),
            "agent stopped": (3, self._stop_agent),
            "agent hung": (3, self._hang_agent),
            "shim killed": (6, self._kill_shim),
            "device without power": (6, self._take_power),
        }

    def _kill(self, program: str) -> None:
        site = self.on.site
        # PostgreSQL does not come back while processes of the one that died stand still.
        if site.has_ended(program) or f"{program} hung" in self._broken:
            return
        site.kill(program)
        self._later(self.chance.uniform(0, 3), f"{program} killed", lambda: self._revive(program))

    def _revive(self, program: str) -> None:
        """Launched, not waited for: what it needs may be away as well."""
        if program in SERVICES:
            self.on.site.start_again(program)
        else:
            self.on.site.launch(program)

    def _hang(self, program: str) -> None:
        if self.on.site.has_ended(program):
            return
        stack = ExitStack()
        stack.enter_context(self.on.site.hung(program))
        hang = self.chance.uniform(1, self.longest_hang_seconds)
        self._later(hang, f"{program} hung", stack.close)

    def _harm_redis(self, name: str) -> None:
        if name == "Redis full":
            # Also where no answer comes: it may heed that later.
            self._later(self.chance.uniform(1, 10), name, self._unlimit)
        with suppress(RedisError):
            if name == "Redis flushed":
                flush(self.on.site, patience_seconds=PATIENCE_SECONDS)
            else:
                limit_memory(self.on.site, "1", patience_seconds=PATIENCE_SECONDS)

    def _unlimit(self) -> None:
        """One that was started anew meanwhile has no limit; one that hangs takes it later."""
        try:
            limit_memory(self.on.site, "0", patience_seconds=PATIENCE_SECONDS)
        except RedisError:
            self._later(1.0, "Redis full", self._unlimit)

    def _device(self) -> Device:
        return self.chance.choice(self.on.fleet.devices)

    def _kill_agent(self) -> None:
        device = self._device()
        device.kill()
        self._boot_later(device)

    def _stop_agent(self) -> None:
        device = self._device()
        if self._hangs(device):  # it would not heed SIGTERM before it goes on
            return
        device.stop()
        self._boot_later(device)

    def _hang_agent(self) -> None:
        device = self._device()
        if not device.is_running or self._hangs(device):
            return
        agent = psutil.Process(device.agent.pid) if device.agent else None
        assert agent is not None
        agent.send_signal(signal.SIGSTOP)

        def go_on() -> None:
            with suppress(psutil.Error):
                agent.send_signal(signal.SIGCONT)

        hang = self.chance.uniform(1, self.longest_hang_seconds)
        self._later(hang, f"{device.name} hung", go_on)

    def _hangs(self, device: Device) -> bool:
        return f"{device.name} hung" in self._broken

    def _kill_shim(self) -> None:
        device = self._device()
        shims = device.shims()
        if shims:
            with suppress(psutil.Error):
                self.chance.choice(shims).kill()
                device.kills += 1

    def _take_power(self) -> None:
        device = self._device()
        device.lose_power()
        self._boot_later(device)

    def _boot_later(self, device: Device) -> None:
        self._later(self.chance.uniform(0, 5), f"{device.name} off", device.start)

    def _later(self, seconds: float, name: str, mend: Mend) -> None:
        self._broken.add(name)
        heapq.heappush(self._mends, (time.monotonic() + seconds, next(self._order), name, mend))

    def _mend(self, upto: float) -> None:
        while self._mends and self._mends[0][0] <= upto:
            _moment, _number, name, mend = heapq.heappop(self._mends)
            self._broken.discard(name)
            mend()
        self._look_after_programs()

    def _look_after_programs(self) -> None:
        """One that ended by itself, because what it needs is away, is started again as any
        supervisor would."""
        for program in ("web", "worker", "beat"):
            if f"{program} killed" not in self._broken and self.on.site.has_ended(program):
                self.on.site.launch(program)
