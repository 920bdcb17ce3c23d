"""What the agent knows, in memory, of a run its journal holds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from .delivery import Courier
from .journal import Entry
from .protocol import Grant, JournalEntry, JournalState


@dataclass(slots=True)
class Live:
    """What is known of an entry besides its journal. `is_ours` falls when this session's server
    does not know the run; `is_dismissed` when the server wants no word of it any more."""

    entry: Entry
    may_start: bool = False
    is_ours: bool = True
    is_dismissed: bool = False
    is_cancelled: bool = False
    is_fresh: bool = False
    is_delivered: bool = False
    started_at: float | None = None
    courier: Courier | None = None
    delivery: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        return self.entry.state in (JournalState.ENDED, JournalState.UNKNOWN)

    def holds(self, grant: Grant) -> bool:
        """Whether the grant is, byte for byte, what was verified and claimed."""
        return (self.entry.terms, self.entry.payload) == (grant.terms, grant.payload)

    def told(self) -> JournalEntry:
        """A run whose output the server may not have yet is told as `go`, so that it is not
        closed before all of it is there."""
        entry = self.entry
        if entry.state is JournalState.CLAIMED:
            return JournalEntry(entry.run, JournalState.CLAIMED)
        if self.is_over and (self.is_delivered or not entry.output_end):
            return JournalEntry(entry.run, entry.state, entry.evidence)
        return JournalEntry(entry.run, JournalState.GO)

    def end_delivery(self) -> None:
        if self.delivery is not None:
            self.delivery.cancel()
        self.delivery = self.courier = None
