"""One agent's downloader as a process: `python -m benchmarks.downloader URL TARGET SHA256 SIZE KEY`.

It says that it is there, waits for a line, fetches, and ends. KEY signs for the device, in hexadecimal.
"""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from urllib.parse import urlsplit

from devices.agent import protocol
from devices.agent.downloading import Wanted, download


def main(url: str, target: str, sha256: str, size: str, key: str) -> None:
    signed = protocol.sign(bytes.fromhex(key), protocol.fetch_bytes(urlsplit(url).path))
    headers = {protocol.FETCH_SIGNATURE_HEADER: base64.b64encode(signed).decode()}
    wanted = Wanted(sha256, int(size))
    print("ready", flush=True)
    sys.stdin.readline()
    download(url, Path(target), wanted, headers=headers, go_on=lambda: True)


if __name__ == "__main__":
    main(*sys.argv[1:])
