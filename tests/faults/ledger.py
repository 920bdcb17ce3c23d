"""What the devices themselves say they did, which nothing of DeployX reads or writes.

A ledger is a folder with one file a device, named as the device is. Its lines:

    start RUN ATTEMPT BOOT_ID PID SEED STDOUT_BYTES STDERR_BYTES
    end RUN EXIT_CODE
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import work


@dataclass(frozen=True, slots=True)
class Start:
    """A line that says a command began, and where. `device` is a name, or work.UNKNOWN."""

    device: str
    attempt: int
    boot_id: str
    seed: int
    stdout_bytes: int
    stderr_bytes: int


@dataclass(slots=True)
class Trace:
    """All that the ledgers say of one run."""

    run: str
    starts: list[Start] = field(default_factory=list)
    exit_codes: list[int] = field(default_factory=list)

    @property
    def stands_whole(self) -> bool:
        """Started once, ended once, with 0."""
        return len(self.starts) == 1 and self.exit_codes == [0]

    def output(self) -> dict[str, bytes]:
        """By stream, what the command writes when nobody ends it before it has."""
        start = self.starts[0]
        numbers = {"stdout": start.stdout_bytes, "stderr": start.stderr_bytes}
        return {
            stream: work.output_of(start.seed, self.run, stream, number)
            for stream, number in numbers.items()
        }


@dataclass(frozen=True, slots=True)
class Ledger:
    """`folder` must be there before the first command and outlive every device."""

    folder: Path

    def command(
        self,
        *,
        seed: int = 0,
        stdout_bytes: int = 512,
        stderr_bytes: int = 0,
        seconds: float = 0.0,
        exit_code: int = 0,
        held_by: Path | None = None,
    ) -> str:
        """The line of a command payload, the same for every device: it notes its start, writes
        so much output over so long a time, waits until the file `held_by` is there, notes its end,
        and exits."""
        words = (
            sys.executable, "-I", "-S", Path(work.__file__).resolve(), self.folder,
            seed, stdout_bytes, stderr_bytes, seconds, exit_code,
            *([] if held_by is None else [held_by]),
        )  # fmt: skip
        return "exec " + shlex.join(map(str, words))

    def traces(self) -> dict[str, Trace]:
        """By run id, everything that stands in the files."""
        found: dict[str, Trace] = {}
        for device, words in self._lines():
            trace = found.setdefault(words[1], Trace(words[1]))
            if words[0] == "start":
                numbers = [int(words[place]) for place in (2, 5, 6, 7)]
                trace.starts.append(Start(device, numbers[0], words[3], *numbers[1:]))
            else:
                trace.exit_codes.append(int(words[2]))
        return found

    def _lines(self) -> Iterator[tuple[str, list[str]]]:
        """The whole ones: one that a power cut left half is none."""
        for file in sorted(self.folder.iterdir()):
            for line in file.read_text().splitlines(keepends=True):
                if line.endswith("\n"):
                    yield file.name, line.split()
