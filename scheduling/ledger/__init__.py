"""What the hub asks of us: `devices.ledger_port.Ledger`, as functions of this module.

Each is one short transaction over a whole batch, guarded by conditional UPDATEs: a race lost is a
normal answer, and the agent's own repeats make up for a call that failed.
"""

from scheduling.catalogue.handing import fetch
from scheduling.ledger.evidence import givebacks, rejects, results
from scheduling.ledger.grants import cancels, claim, poll, polls, start, unsettled, waiting
from scheduling.ledger.output import output
from scheduling.ledger.presence import device_came_online, device_revoked
from scheduling.ledger.recalling import recall, recalled
from scheduling.ledger.verdicts import hello

__all__ = [
    "cancels",
    "claim",
    "device_came_online",
    "device_revoked",
    "fetch",
    "givebacks",
    "hello",
    "output",
    "poll",
    "polls",
    "recall",
    "recalled",
    "rejects",
    "results",
    "start",
    "unsettled",
    "waiting",
]
