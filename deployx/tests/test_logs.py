"""Whoever logs, every line of web, worker and beat is of one level and one form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SAID = """
import logging, structlog

logging.getLogger("scheduling.somewhere").info("info of the standard library")
structlog.get_logger("scheduling.somewhere").info("info")
structlog.get_logger("scheduling.somewhere").error("error")
logging.getLogger("celery.app.trace").error("error of Celery")
"""
OF_WORKER_AND_BEAT = f"""
from deployx.celery import app

app.loader.import_default_modules()
app.log.setup("INFO", redirect_stdouts=True)
{SAID}
"""
OF_WEB = f"""
import uvicorn

uvicorn.Config("deployx.asgi:application", log_level="warning").load()
import logging

try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("uvicorn.error").exception("Exception in ASGI application\\n")
logging.getLogger("uvicorn.error").info("info of uvicorn")
{SAID}
"""


def logged(program: str, level: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=CHECKOUT,
        env={**os.environ, "DEPLOYX_LOG_FORMAT": "json", "DEPLOYX_LOG_LEVEL": level},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [json.loads(line) for line in done.stderr.splitlines()]


def events(lines: list[dict[str, Any]]) -> list[str]:
    return [line["event"] for line in lines]


@pytest.mark.parametrize(
    ("level", "wanted"),
    [
        ("ERROR", ["error", "error of Celery"]),
        ("INFO", ["info of the standard library", "info", "error", "error of Celery"]),
    ],
)
def test_the_level_holds_in_worker_and_beat(level: str, wanted: list[str]) -> None:
    assert events(logged(OF_WORKER_AND_BEAT, level)) == wanted


def test_what_uvicorn_says_is_a_line_like_any_other() -> None:
    lines = logged(OF_WEB, "ERROR")
    assert [line["event"].strip() for line in lines] == [
        "Exception in ASGI application",
        "error",
        "error of Celery",
    ]
    assert "ZeroDivisionError" in lines[0]["exception"]
