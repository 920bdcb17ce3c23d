"""A server that speaks S3, as a process of its own, with one bucket and one person who may use it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import httpx

NAME = "deployx-files"
_POLICY = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
}

# Says the port that it was given; from then on it takes connections.
_SERVE = """
import time
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
time.sleep(1e9)
"""


@dataclass(frozen=True, slots=True)
class BucketServer:
    url: str
    key_id: str
    secret: str

    def client(self) -> Any:
        return _client("s3", self.url, self.key_id, self.secret)

    def objects(self) -> dict[str, int]:
        """What is in the bucket: sizes by name."""
        listed = self.client().list_objects_v2(Bucket=NAME)
        return {one["Key"]: one["Size"] for one in listed.get("Contents", [])}

    @contextlib.contextmanager
    def strict(self) -> Iterator[None]:
        """Inside it the server looks at who asks; it knows no signed addresses meanwhile."""
        httpx.post(f"{self.url}/moto-api/reset-auth", content=b"0").raise_for_status()
        try:
            yield
        finally:
            httpx.post(f"{self.url}/moto-api/reset-auth", content=b"inf").raise_for_status()


@contextlib.contextmanager
def bucket_server() -> Iterator[BucketServer]:
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline() or 0)
            assert port, "the bucket's server does not start"
            yield _open_bucket(f"http://127.0.0.1:{port}")
        finally:
            process.kill()  # it keeps nothing, and on SIGTERM it waits for kept connections


def _open_bucket(url: str) -> BucketServer:
    people = _client("iam", url, "nobody", "nothing")
    people.create_user(UserName="deployx")
    key = people.create_access_key(UserName="deployx")["AccessKey"]
    people.put_user_policy(UserName="deployx", PolicyName="all", PolicyDocument=json.dumps(_POLICY))
    server = BucketServer(url, key["AccessKeyId"], key["SecretAccessKey"])
    server.client().create_bucket(Bucket=NAME)
    return server


def _client(service: str, url: str, key_id: str, secret: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
    )
