"""Answers in the table of verdicts that break no promise where another stands, each with the reason.

They stay as they are: another agent may lack what makes up for them here, and people are told less.
"""

from __future__ import annotations

_ERASED = "an agent erases a claim on any word but keep, and START is answered stop"
_GRANTED = "an agent erases a claim on any word but keep, and then is granted the run again"
_SENT = "the agent sends the result, and is answered what the row says"
_SETTLED = "an agent settles what has ended on kill as on ack"
_GOES_ON = "an agent goes on with what it has started, whatever is dropped"
_STOPPED = "START is answered stop, and the run is granted anew"
_TAKEN_BACK = "START is answered stop, and an old session's claim is taken back after ten minutes"
_POLLED = "the poll after the welcome finds that the agent does not hold it, and it is granted"
_LOST = "no promise says that lost is rare: a run that may not start any more is called so"

_CLAIMED = {
    "cancelled": ("keep", "drop", "kill", "ack"),
    "expired": ("keep", "drop", "kill", "ack"),
    "rejected": ("keep", "drop", "kill", "ack"),
    "skipped": ("keep", "drop", "kill", "ack"),
    "lost": ("keep", "kill", "ack"),
    "queued": ("keep", "kill", "ack"),
    "running": ("keep", "kill", "ack"),
    "succeeded": ("keep", "kill", "ack"),
}
_OVER = (
    "cancelled after its start and ended",
    "lost and ended",
    "running and ended",
    "running and unknown",
    "succeeded and ended",
    "succeeded and unknown",
)
REASONS = {
    **{
        f"hello: {row} and claimed: {one}": _ERASED
        for row, all_ in _CLAIMED.items()
        for one in all_
    },
    **{f"hello: claimed and claimed: {one}": _GRANTED for one in ("drop", "kill", "ack")},
    **{f"hello: {both}: {word}": _SENT for both in _OVER for word in ("keep", "drop")},
    **{f"hello: {both}: kill": _SETTLED for both in _OVER},
    "hello: lost and go: drop": _GOES_ON,
    "hello: running and go: drop": _GOES_ON,
    "hello: running and go: row lost": "the agent goes on, and its result settles it",
    "hello: claimed and claimed: row queued": _STOPPED,
    "hello: claimed and claimed: row stays": _TAKEN_BACK,
    "hello: claimed and claimed: row lost": _LOST,
    "hello: claimed and nothing: row stays": _TAKEN_BACK,
    "hello: claimed and nothing: row lost": _LOST,
    "hello: queued and claimed: row claimed": _POLLED,
    "hello: queued and claimed: row lost": _LOST,
    "hello: queued and nothing: row claimed": _POLLED,
    "recalled: queued and nothing: row claimed": _POLLED,
    "recalled: queued and nothing: row lost": _LOST,
}
