"""What every command of a fault run is: a program that says on its device that it started, writes
an output known beforehand, and says that it ended.

    python -I -S work.py FOLDER SEED STDOUT_BYTES STDERR_BYTES SECONDS EXIT_CODE [FILE]

FOLDER is the ledger's, which has one file a device. It does not end before FILE is there. Started
without anything of the project: it is the workload, not a part of it. Each line is on the disk before
the program goes on.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time

UNKNOWN = "unknown"
"""The device of a command whose shim was gone before the command could look."""
_PIECES = 8


def output_of(seed: int, run: str, stream: str, number: int) -> bytes:
    """The bytes a run writes to `stream` (stdout or stderr): any value, no two runs alike."""
    return hashlib.shake_256(f"{seed}:{run}:{stream}".encode()).digest(number)


def _device() -> str:
    """The name of the device, out of the command line of the shim above us: the last word is
    STATE_DIR/runs/RUN, and a state directory is named after its device."""
    with open(f"/proc/{os.getppid()}/cmdline", "rb") as file:  # noqa: PTH123
        words = file.read().decode().split("\0")
    folders = words[-2].split("/") if len(words) > 2 else []
    return folders[-3] if folders[-2:-1] == ["runs"] else UNKNOWN


def _say(ledger: str, *words: object) -> None:
    line = " ".join(map(str, words)) + "\n"
    descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, line.encode())
    os.fsync(descriptor)
    os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def main() -> None:
    folder, seed, stdout, stderr, seconds, code, *held_by = sys.argv[1:]
    ledger = f"{folder}/{_device()}"
    run, attempt = os.environ["DEPLOYX_RUN_ID"], os.environ["DEPLOYX_ATTEMPT"]
    with open("/proc/sys/kernel/random/boot_id") as file:  # noqa: PTH123
        boot = file.read().strip()
    _say(ledger, "start", run, attempt, boot, os.getpid(), seed, stdout, stderr)
    outputs = [
        (descriptor, output_of(int(seed), run, stream, int(number)))
        for descriptor, stream, number in ((1, "stdout", stdout), (2, "stderr", stderr))
    ]
    for piece in range(_PIECES):
        for descriptor, data in outputs:
            begin, end = (len(data) * place // _PIECES for place in (piece, piece + 1))
            _write(descriptor, data[begin:end])
        time.sleep(float(seconds) / _PIECES)
    while not all(map(os.path.exists, held_by)):
        time.sleep(0.05)
    _say(ledger, "end", run, code)
    os._exit(int(code))


if __name__ == "__main__":
    main()
