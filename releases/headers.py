"""The headers of a tar stream, by Python's tarfile; those of hard links are put together from one of its own."""

import tarfile
from functools import cache

NAME_BYTES = 100  # longer names have a header before the header
_CHECKSUM = slice(148, 156)


def header(name: str, kind: bytes, mode: int, mtime: int, *, size_bytes: int = 0, target: str = "") -> bytes:
    """The header of one member. GNU's format, since busybox passes over the headers of pax."""
    if kind == tarfile.LNKTYPE and not size_bytes:
        where, leads = (word.encode("utf-8", "surrogateescape") for word in (name, target))
        if len(where) <= NAME_BYTES and len(leads) <= NAME_BYTES:
            return _link(where, leads, mode, mtime)
    return _whole(name, kind, mode, mtime, size_bytes, target)


def _whole(name: str, kind: bytes, mode: int, mtime: int, size_bytes: int, target: str) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.mtime = kind, mode, mtime
    member.size, member.linkname = size_bytes, target
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _link(name: bytes, target: bytes, mode: int, mtime: int) -> bytes:
    """As tarfile's, in a tenth of the time: where little has changed, a stream has little else."""
    before, between, behind, total = _nameless(mode, mtime)
    checksum = b"%06o\0 " % (total + sum(name) + sum(target))
    return b"".join((name.ljust(NAME_BYTES, b"\0"), before, checksum, between, target.ljust(NAME_BYTES, b"\0"), behind))


@cache
def _nameless(mode: int, mtime: int) -> tuple[bytes, bytes, bytes, int]:
    """What is around the names and the check sum of a hard link, and what that is without the names."""
    block = bytearray(_whole("", tarfile.LNKTYPE, mode, mtime, 0, ""))
    block[_CHECKSUM] = b" " * 8
    return bytes(block[100:148]), bytes(block[156:157]), bytes(block[257:]), sum(block)
