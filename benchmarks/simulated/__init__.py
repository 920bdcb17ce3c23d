"""Simulated agents: thousands of connections in a few processes, each speaking the whole protocol.

    identities = enlist(database_url, 10_000)
    with fleet(address, identities, Habits(output_bytes=4_096)) as agents:
        agents.connect()
        agents.until_online(10_000, seconds=120)
        ...                                      # open executions, kill the web process, …
        agents.tally()                           # what happened since the last look
        agents.runs()                            # what the devices say of every run, for a checker

An agent signs its hello with its own Ed25519 key, keeps a journal in memory that outlives its
connections, answers grant with START and GO with output and a result, repeats what is not answered,
heartbeats, polls, and reconnects with full jitter, all through `devices.agent.protocol`. What it
"runs" is nothing but time and `written(run, 0, output_bytes)`.

The journal is lost with `fleet`'s end; nothing is written to a disk, nothing is executed.
"""

from benchmarks.simulated.enlisting import Identity, enlist
from benchmarks.simulated.fleet import Fleet, fleet
from benchmarks.simulated.habits import Habits
from benchmarks.simulated.tally import RunOnDevice, Tally
from benchmarks.simulated.work import written

__all__ = [
    "Fleet",
    "Habits",
    "Identity",
    "RunOnDevice",
    "Tally",
    "enlist",
    "fleet",
    "written",
]
