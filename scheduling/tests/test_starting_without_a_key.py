"""A worker or a beat that could do no work ends, and says why, rather than living on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from devices import keys
from scheduling.tests.cli.test_subprocess import environment


@pytest.mark.parametrize("program", [("worker", "--concurrency", "1"), ("beat", "--pidfile", "")])
@pytest.mark.django_db(transaction=True)
def test_it_ends_when_the_registered_key_has_lost_its_file(
    program: tuple[str, ...], signing_key: Path
) -> None:
    key_id = keys.ensure_key()
    signing_key.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "celery", "--quiet", "--app", "deployx", *program],
        cwd=settings.BASE_DIR,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 1
    assert f"The signing key {key_id} is registered, but its file" in done.stderr
