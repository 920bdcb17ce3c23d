"""What a file is, told from its first bytes: names and browsers say what they like.

The signatures are those of the formats' own descriptions: ar(5) for deb, the RPM file format, [MS-CFB]
for msi, APPNOTE for zip, POSIX ustar, RFC 1952 for gzip.
"""

from __future__ import annotations

HEAD_BYTES = 512
UNKNOWN = "application/octet-stream"

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"!<arch>\ndebian", "application/vnd.debian.binary-package"),
    (0, b"\xed\xab\xee\xdb", "application/x-rpm"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-msi"),
    (0, b"MZ", "application/vnd.microsoft.portable-executable"),
    (0, b"xar!", "application/vnd.apple.installer+xml"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (257, b"ustar", "application/x-tar"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"#!", "text/x-script"),
)


def content_type(head: bytes) -> str:
    """The media type of a file that begins so; `head` is its first 512 bytes, or all of it."""
    for offset, signature, named in _SIGNATURES:
        if head.startswith(signature, offset):
            return named
    return "text/plain" if _is_text(head) else UNKNOWN


def _is_text(head: bytes) -> bool:
    """UTF-8 without control characters; a character may be cut at the end."""
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head):
        return False
    for cut in range(4):
        try:
            head[: len(head) - cut].decode()
        except UnicodeDecodeError:
            continue
        return True
    return False
