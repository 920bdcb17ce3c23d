"""How many files a process may have open: each connection is one."""

from __future__ import annotations

import resource

SPARE = 512


class TooFewOpenFiles(RuntimeError):
    """The hard limit of this login is too low; the text says what is needed."""


def allow(connections: int) -> None:
    """Raises the soft limit, which children inherit, as far as so many connections need it."""
    needed = connections + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise TooFewOpenFiles(
            f"{connections:,} connections need {needed:,} open files, and no more than {hard:,} are"
            " allowed here: raise the hard limit (ulimit -Hn) and try again."
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
