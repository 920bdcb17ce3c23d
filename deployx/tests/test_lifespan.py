"""What a web process does as it starts."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from django.utils import timezone

from deployx.lifespan import Lifespan
from devices.hub import Hub
from devices.tests.conftest import in_thread, until
from scheduling import heartbeats
from scheduling.models import ServiceHeartbeat

CHECKOUT = Path(__file__).resolve().parents[2]
STARTED_AND_STOPPED = """
import asyncio, resource

import django

django.setup()

from deployx.lifespan import Lifespan


class NoHub:
    async def start(self): ...
    async def stop(self): ...


async def main():
    says = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive():
        return {"type": next(says)}

    async def send(message): ...

    await Lifespan(NoHub())({"type": "lifespan"}, receive, send)


hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
asyncio.run(main())
print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))
"""


def test_a_web_process_takes_all_the_open_files_it_may_have() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTED_AND_STOPPED],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


class NoHub:
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@pytest.mark.django_db(transaction=True)
async def test_it_says_that_it_has_just_started_whoever_had_its_name() -> None:
    before = timezone.now() - timedelta(days=1)
    name = f"{socket.gethostname()}:{os.getpid()}"
    await in_thread(lambda: heartbeats.record("web", name))
    await in_thread(lambda: ServiceHeartbeat.objects.update(started_at=before))
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(message: dict[str, Any]) -> None: ...

    lives = asyncio.create_task(
        Lifespan(cast("Hub", NoHub()))({"type": "lifespan"}, said.get, send)
    )
    said.put_nowait({"type": "lifespan.startup"})
    new = ServiceHeartbeat.objects.filter(started_at__gt=before)
    await until(lambda: in_thread(new.exists))
    said.put_nowait({"type": "lifespan.shutdown"})
    await lives
    assert not await in_thread(ServiceHeartbeat.objects.exists)
