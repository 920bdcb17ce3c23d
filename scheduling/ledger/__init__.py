"""What the hub asks of us: `devices.ledger_port.Ledger`, as functions of this module.

Each is one short transaction over a whole batch, guarded by conditional UPDATEs: a race lost is a
normal answer, and the agent's own repeats make up for a call that failed.
"""

from scheduling.catalogue.handing import fetch
from scheduling.ledger.evidence import givebacks, hello, rejects, results
from scheduling.ledger.grants import cancels, claim, poll, start
from scheduling.ledger.output import output
from scheduling.ledger.presence import device_came_online, device_revoked

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
    "rejects",
    "results",
    "start",
]
