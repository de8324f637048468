"""What a release is made of, and what differs between two."""

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

FILE, LINK, FOLDER = 0o100000, 0o120000, 0o040000


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One shipped path: *mode* as git and stat(2) have it (type and permissions), *sha256* of its bytes.

    The path is relative, with ``/``; bytes that are not UTF-8 are surrogates, as `os.fsdecode` makes them.
    A link's digest and size are those of its target's text; a folder's are "-" and 0.
    """

    path: str
    mode: int
    sha256: str
    size_bytes: int

    @property
    def kind(self) -> int:
        """One of `FILE`, `LINK`, `FOLDER`."""
        return self.mode & 0o170000


_PLAIN = re.compile(r"[a-zA-Z0-9._/@+,=:-]+")


class ManifestError(ValueError):
    """The text is not a manifest."""


@dataclass(frozen=True)
class Manifest:
    """Everything that is shipped, sorted by path; equal manifests are equal releases."""

    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> "Manifest":
        """Sort *entries*, so that the same tree has the same digest."""
        return cls(tuple(sorted(entries, key=lambda entry: _bytes(entry.path))))

    @cached_property
    def text(self) -> bytes:
        """One line per entry: ``sha256 mode size path``; the path escaped as sh's ``printf %b`` reads it."""
        return b"".join(f"{e.sha256} {e.mode:06o} {e.size_bytes} {_escaped(e.path)}\n".encode() for e in self.entries)

    @cached_property
    def digest(self) -> str:
        """sha256 of `text`: what names the release."""
        return hashlib.sha256(self.text).hexdigest()

    def packed(self) -> bytes:
        """`text`, gzipped without a time stamp, as it lies on the host."""
        return self._packed

    @cached_property
    def _packed(self) -> bytes:
        return gzip.compress(self.text, compresslevel=6, mtime=0)

    @classmethod
    def unpacked(cls, packed: bytes) -> "Manifest":
        """Read what `packed` wrote; raises `ManifestError` for anything else."""
        if not packed:
            raise ManifestError("not a manifest: empty")  # what a full disk leaves, and gzip takes for nothing
        try:
            lines = gzip.decompress(packed).splitlines()
            return cls(tuple(_entry(line) for line in lines))
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise ManifestError(f"not a manifest: {error}") from error


@dataclass(frozen=True, slots=True)
class Difference:
    """What a host with an older release needs: *same* is there, *sent* is not, *removed* is no more."""

    same: tuple[Entry, ...]
    sent: tuple[Entry, ...]
    removed: tuple[Entry, ...]

    @property
    def bytes_sent(self) -> int:
        """Sum of the sizes of what is sent, before compression."""
        return sum(entry.size_bytes for entry in self.sent)


def difference(new: Manifest, base: Manifest | None) -> Difference:
    """Compare *new* with *base* (None: the host has nothing).

    Folders and links are always sent, being only names.

    >>> a, b = Entry("a", 0o100644, "1" * 64, 1), Entry("b", 0o100644, "2" * 64, 1)
    >>> difference(Manifest.of([a, b]), Manifest.of([a])) == Difference(same=(a,), sent=(b,), removed=())
    True
    """
    known = {entry.path: entry for entry in base.entries} if base else {}
    same = tuple(e for e in new.entries if e.kind == FILE and known.get(e.path) == e)
    there, kept = {e.path for e in new.entries}, {e.path for e in same}
    return Difference(
        same=same,
        sent=tuple(e for e in new.entries if e.path not in kept),
        removed=tuple(e for e in known.values() if e.path not in there),
    )


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _escaped(path: str) -> str:
    """Octal escapes for all but plain characters, so that a line has four words whatever the name is.

    >>> _escaped("a b")
    'a\\\\0040b'
    """
    if _PLAIN.fullmatch(path):  # as nearly all are
        return path
    return "".join(chr(byte) if _PLAIN.fullmatch(chr(byte)) else f"\\0{byte:03o}" for byte in _bytes(path))


def _entry(line: bytes) -> Entry:
    sha256, mode, size, escaped = line.decode("ascii").split(" ")
    if "\\" in escaped:
        raw = re.sub(rb"\\0([0-7]{3})", lambda found: bytes([int(found[1], 8)]), escaped.encode())
        escaped = raw.decode("utf-8", "surrogateescape")
    return Entry(escaped, int(mode, 8), sha256, int(size))
