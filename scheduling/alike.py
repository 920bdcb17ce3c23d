"""Which devices wrote the same: ended runs grouped by exit code and the digest of their output."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection
from django.db.models import Q

from scheduling import outputs, progress, terminal
from scheduling.models import DeviceRun, Execution

if TYPE_CHECKING:
    from scheduling.models.device_run import DeviceRunQuerySet

MOST_GROUPS = 5
NOTHING = "nothing"
# Of each of the two texts that are compared.
COMPARED_BYTES, COMPARED_LINES, LINE_CHARACTERS = 64 * 1024, 500, 400
# Its digest is known, or it wrote nothing; others lost bytes on the way and are like nobody.
_STARTED = Q(progress.COUNTED, started_at__isnull=False, finished_at__isnull=False)
COMPARABLE = _STARTED & (~Q(output_sha256="") | Q(output_next=0))
_GROUPS = """
SELECT exit_code, output_sha256, count(*) AS devices,
       count(*) OVER () AS kinds, sum(count(*)) OVER ()::bigint AS compared
  FROM scheduled_task_device_runs
 WHERE execution_id = %s AND is_last_attempt AND rolls_back_id IS NULL
   AND started_at IS NOT NULL AND finished_at IS NOT NULL
   AND (output_sha256 <> '' OR output_next = 0)
 GROUP BY exit_code, output_sha256
 ORDER BY devices DESC, exit_code, output_sha256
 LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Group:
    """Devices that ended with the same exit code and wrote the same bytes."""

    exit_code: int | None
    sha256: str
    devices: int

    @property
    def key(self) -> str:
        """How an address names it."""
        code = "" if self.exit_code is None else self.exit_code
        return f"{code}:{self.sha256 or NOTHING}"

    def holds(self, run: DeviceRun) -> bool:
        return (run.exit_code, run.output_sha256) == (self.exit_code, self.sha256)

    @property
    def condition(self) -> Q:
        return COMPARABLE & Q(exit_code=self.exit_code, output_sha256=self.sha256)


@dataclass(frozen=True, slots=True)
class Groups:
    """The largest groups, `kinds` of how many there are, and how many devices are in all of them."""

    largest: Sequence[Group] = ()
    kinds: int = 0
    compared: int = 0

    @property
    def reference(self) -> Group | None:
        """The largest, which the others are compared with, where there is anything to be like."""
        first = next(iter(self.largest), None)
        return first if first is not None and first.devices > 1 else None

    @property
    def has_majority(self) -> bool:
        """Whether more than half of the devices are in it."""
        return self.reference is not None and 2 * self.reference.devices > self.compared

    @property
    def differing(self) -> int:
        """How many devices are not in the reference."""
        return self.compared - self.reference.devices if self.reference else 0

    @property
    def further(self) -> int:
        """How many groups there are beside the largest."""
        return self.kinds - len(self.largest)

    def differs(self, run: DeviceRun) -> bool:
        """Whether there is a difference to the reference that can be shown."""
        return self.reference is not None and run.has_ended and not self.reference.holds(run)


def groups(execution: Execution) -> Groups:
    """In one query, however many devices there are."""
    with connection.cursor() as cursor:
        cursor.execute(_GROUPS, [execution.pk, MOST_GROUPS])
        rows = cursor.fetchall()
    if not rows:
        return Groups()
    largest = tuple(Group(code, digest, devices) for code, digest, devices, *_ in rows)
    return Groups(largest, kinds=rows[0][3], compared=rows[0][4])


def named(key: str) -> Group | None:
    """The group of this key, its devices not counted; None for what is no key."""
    code, sign, digest = key.partition(":")
    whole = code.removeprefix("-")
    if not sign or len(digest) > 64 or not (not code or (whole.isdecimal() and len(whole) < 16)):
        return None
    return Group(int(code) if code else None, "" if digest == NOTHING else digest, 0)


def member(execution: Execution, group: Group) -> DeviceRun | None:
    """One of the group, the same at every look."""
    runs: DeviceRunQuerySet = execution.runs.filter(group.condition)
    return runs.order_by("id").first()


@dataclass(frozen=True, slots=True)
class Line:
    """`sign` is "+" for what only the one wrote, "-" for what only the other did, "@" for a place,
    and a blank for what both did."""

    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """`is_cut` where one of the texts is longer than what is compared of it."""

    lines: Sequence[Line]
    is_cut: bool


def difference(run: DeviceRun, other: DeviceRun) -> Difference:
    """What the run wrote that the other did not, and the other way round."""
    (ours, is_cut), (theirs, is_other_cut) = _beginning(run), _beginning(other)
    return Difference(list(_lines(theirs, ours)), is_cut or is_other_cut)


def _beginning(run: DeviceRun) -> tuple[list[str], bool]:
    found = outputs.read(run, limit=COMPARED_BYTES)
    lines = terminal.plain(found.text).splitlines()
    is_cut = not found.finished or len(lines) > COMPARED_LINES
    return [line[:LINE_CHARACTERS] for line in lines[:COMPARED_LINES]], is_cut


def _lines(theirs: Sequence[str], ours: Sequence[str]) -> Iterator[Line]:
    # The first two name the files.
    for line in list(difflib.unified_diff(theirs, ours, lineterm=""))[2:]:
        yield Line(line[0], line[1:] if line[0] != "@" else line)
