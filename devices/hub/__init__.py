"""One hub a web process: its register of connected agents, and the batches between them and the
ledger. Whatever it forgets or cannot deliver, the agents' repeats and polls bring again."""

from devices.hub.hub import Hub, Report
from devices.hub.link import Link, Refused

__all__ = ["Hub", "Link", "Refused", "Report"]
