"""What is wrong in the environment is named, and nothing runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def test_heartbeats_may_not_be_seldomer_than_presence_allows() -> None:
    assert refused(DEPLOYX_HEARTBEAT_SECONDS="300") == [
        "The environment is not right:",
        "  DEPLOYX_HEARTBEAT_SECONDS: Must be greater than or equal to 1 and less than or equal to 20.",
    ]


@pytest.mark.parametrize(
    ("bucket", "said"),
    [
        ("", ["FileSystemStorage", None, None]),
        ("blobs-of-ours", ["Bucket", "blobs-of-ours", "https://s3.example.org"]),
    ],
)
def test_a_bucket_takes_the_files_where_one_is_named(bucket: str, said: list[str | None]) -> None:
    found = shown(DEPLOYX_FILES_BUCKET=bucket, DEPLOYX_FILES_BUCKET_URL="https://s3.example.org")
    assert found == said


def shown(**variables: str) -> Any:
    """Where the settings keep files: the store, its bucket, the bucket's address."""
    program = (
        "import json; from deployx.settings import STORAGES; blobs = STORAGES['blobs'];"
        "of = blobs['OPTIONS'].get;"
        "names = [blobs['BACKEND'].split('.')[-1], of('bucket_name'), of('endpoint_url')];"
        "print(json.dumps(names))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=CHECKOUT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def refused(**variables: str) -> list[str]:
    """What a command says that may not run with these."""
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=CHECKOUT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    return done.stderr.splitlines()
