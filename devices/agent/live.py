"""What the agent knows, in memory, of a run its journal holds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from .delivery import Courier
from .journal import Entry
from .protocol import Grant, JournalEntry, JournalState, Outcome, parse_terms

_STILL_OPEN = frozenset({"pending", "queued", "claimed", "running"})


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

    def is_due(self, now: datetime) -> bool:
        """Whether it is claimed and the time before which it may not start has come."""
        if self.entry.state is not JournalState.CLAIMED or self.entry.terms is None:
            return False
        return parse_terms(self.entry.terms).not_before <= now

    def is_settled_by(self, state: str) -> bool:
        """Whether the server, whose row says so, has this run's end. It calls lost only what ended
        so: of any other end that is a late answer to something else, and it has still to hear it."""
        evidence = self.entry.evidence
        if state == "lost" and evidence is not None:
            return evidence.outcome is Outcome.UNKNOWN
        return state not in _STILL_OPEN

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
