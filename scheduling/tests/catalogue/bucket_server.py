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

from tests.running import free_port, until

NAME = "deployx-files"
_POLICY = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
}


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
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield _open_bucket(f"http://127.0.0.1:{port}", process)
    finally:
        process.kill()  # it keeps nothing, and on SIGTERM it waits for connections that are kept open
        process.wait(20)


def _open_bucket(url: str, process: subprocess.Popen[bytes]) -> BucketServer:
    until(lambda: _answers(url, process), what="the bucket's server up")
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


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the bucket's server does not start"
    try:
        return httpx.get(f"{url}/moto-api/").status_code == 200
    except httpx.TransportError:
        return False
