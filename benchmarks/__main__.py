"""python -m benchmarks: measures, and writes benchmarks/RESULTS.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import (
    beat,
    changes,
    first_line,
    fleet,
    fleet_report,
    floor,
    machine,
    output,
    recurrence,
    report,
    transfer,
    web,
)

RESULTS = Path(__file__).parent / "RESULTS.md"
NAMES = (
    "floor",
    "first-line",
    "recurrence",
    "beat",
    "output",
    "web",
    "changes",
    "fleet",
    "transfer",
)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    chosen = options.only or list(NAMES)
    load = machine.load()
    text = report.render(
        floor.measure(options.clients, options.rounds) if "floor" in chosen else None,
        first_line.measure(options.repeats) if "first-line" in chosen else None,
        load,
    )
    if "recurrence" in chosen:
        text += recurrence.render(recurrence.measure_apart(options.tries))
    if "beat" in chosen:
        before = machine.load()
        text += beat.render(beat.measure(options.tasks or beat.NUMBERS), before)
    if "output" in chosen:
        before = machine.load()
        text += output.render(output.measure(options.flood_mib * output.MIB), before)
    if "web" in chosen:
        before = machine.load()
        text += web.render(web.measure(seconds=options.seconds), before)
    if "changes" in chosen:
        before = machine.load()
        text += changes.render(changes.measure(), before)
    if "fleet" in chosen:
        sizes = options.agents or fleet.SIZES
        found = fleet.measure(
            sizes, options.queued, options.dispatches, install_others=options.install_others
        )
        text += fleet_report.render(found)
    if "transfer" in chosen:
        before = machine.load()
        text += transfer.render(transfer.measure(options.file_mib * transfer.MIB), before)
    print(text)
    if options.results is not None:
        options.results.write_text(text)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=NAMES, help="may be given twice")
    parser.add_argument("--clients", type=int, default=1_000, help="of the floor")
    parser.add_argument("--rounds", type=int, default=20, help="of the floor")
    parser.add_argument("--repeats", type=int, default=20, help="tasks of first-line")
    parser.add_argument("--tries", type=int, default=recurrence.TRIES, help="of recurrence")
    parser.add_argument(
        "--tasks",
        type=int,
        action="append",
        help="of beat, rising; may be given more than once",
    )
    parser.add_argument("--flood-mib", type=int, default=1024, help="of output")
    parser.add_argument("--seconds", type=float, default=web.SECONDS, help="a page, of web")
    parser.add_argument(
        "--agents",
        type=int,
        action="append",
        help="of fleet, rising; may be given more than once",
    )
    parser.add_argument("--file-mib", type=int, default=200, help="of transfer")
    parser.add_argument("--queued", type=int, default=fleet.QUEUED, help="runs waiting, of fleet")
    parser.add_argument(
        "--dispatches", type=int, default=fleet.REPEATS, help="of each size, of fleet"
    )
    parser.add_argument(
        "--install-others",
        action="store_true",
        help="Ansible and Salt for fleet, from the package index, for as long as they are measured",
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        metavar="FILE",
        help="where to write them; /dev/null for nowhere",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
