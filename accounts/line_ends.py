"""Line ends of what people type: a browser sends CRLF for each of them."""

from __future__ import annotations


def meant(typed: str, stored: str) -> str:
    """`typed` with the line ends that were meant. Left as it was shown, it is what is stored; changed,
    it has CRLF where that had any, else LF."""
    plain = _plain(typed)
    if plain == _plain(stored):
        return stored
    return plain.replace("\n", "\r\n") if "\r\n" in stored else plain


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
