"""What a web process does as it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
