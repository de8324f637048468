"""What travels to a host: one tar stream, in which what the host has already is a hard link."""

import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from .build import Build
from .errors import Refused
from .headers import header
from .layout import Release
from .manifest import FILE, FOLDER, LINK, Difference, Entry, Manifest
from .packing import CHUNK_BYTES, SAMPLE_BYTES, BinaryWriter, Packed, Plain, shrinks

LARGE_BYTES = 1 << 20  # files of which it is looked whether they shrink, before anything is sent
DENSE = 0.9  # with so much in large files that do not shrink, it would take longer to unpack than to send


class Source(Protocol):
    """What a payload is made of."""

    @property
    def manifest(self) -> Manifest:
        """All of it."""

    def target(self, entry: Entry) -> str:
        """Where a link leads."""

    def content(self, entry: Entry) -> Iterator[bytes]:
        """Exactly as many bytes as the manifest says; asked for in its order."""

    def shrinks(self, difference: Difference) -> bool:
        """Is it worth to compress what is sent?"""


@dataclass(frozen=True, slots=True)
class Built:
    """A build as the source of a payload."""

    build: Build

    @property
    def manifest(self) -> Manifest:
        """All of it."""
        return self.build.manifest

    def target(self, entry: Entry) -> str:
        """Where a link leads."""
        with _unchanged(entry):
            return os.readlink(self.build.tree / entry.path)

    def content(self, entry: Entry) -> Iterator[bytes]:
        """Exactly as many bytes as the manifest says, or `Refused`."""
        return _content(entry, self.build)

    def shrinks(self, difference: Difference) -> bool:
        """Not where nearly all of it is in large files that do not."""
        large = [entry for entry in difference.sent if entry.kind == FILE and entry.size_bytes >= LARGE_BYTES]
        headers = 2 * tarfile.BLOCKSIZE * len(self.manifest.entries)  # they shrink to nearly nothing
        enough = DENSE * (difference.bytes_sent + headers)
        if not large or sum(entry.size_bytes for entry in large) < enough:
            return True
        return sum(entry.size_bytes for entry in large if not _shrinks(entry, self.build)) < enough


def stream(
    source: Source,
    release: Release,
    difference: Difference,
    base: Release | None,
    record: bytes,
    *,
    into: BinaryWriter,
    progress: Callable[[int], None],
    mtime: int,
    packs: bool,
) -> None:
    """Write *source* to *into* for ``tar -xzpof -`` in ``releases/``; *record* becomes the file RELEASE.

    Without *packs* it is for ``tar -xpof -``.

    The manifest comes along as ``.manifest.gz``, which the check on the host takes away again.
    What is the same is a hard link into *base*, which therefore must lie beside. *progress* gets the bytes of
    each piece sent, before compression; their sum is ``difference.bytes_sent``. The same build is the same
    stream. Holds one chunk in memory, whatever the size of a file.

    `Refused` when a file is not what the manifest says; the stream then ends short, and the host notices: gzip, tar,
    or the check.
    """
    payload = _Payload(Packed(into) if packs else Plain(into), release.name, mtime)
    payload.folder("", 0o755)
    payload.record("RELEASE", record)
    payload.record(".manifest.gz", source.manifest.packed())
    same = {entry.path for entry in difference.same}
    for entry in source.manifest.entries:
        if entry.path in same:
            if base is None:
                raise ValueError(f"the same as in which release? {entry.path!r}")
            payload.same(entry, base)
        else:
            payload.sent(entry, source, progress)
    payload.end()


class _Payload:
    """Members below one folder."""

    def __init__(self, into: Packed | Plain, top: str, mtime: int) -> None:
        self.into, self.top, self.mtime = into, top, mtime
        self.size_bytes = 0

    def folder(self, path: str, mode: int) -> None:
        """A folder its owner may write to: what comes next goes into it."""
        self._member(path, tarfile.DIRTYPE, mode & 0o777 | 0o700)

    def record(self, path: str, content: bytes) -> None:
        """A small file that is no part of the manifest."""
        self._member(path, tarfile.REGTYPE, 0o644, size_bytes=len(content))
        self._write(content)
        self._fill(tarfile.BLOCKSIZE)

    def same(self, entry: Entry, base: Release) -> None:
        """A name for what *base* has."""
        self.into.expect(b"")
        self._member(entry.path, tarfile.LNKTYPE, _unwritable(entry), target=f"{base.name}/{entry.path}")

    def sent(self, entry: Entry, source: Source, progress: Callable[[int], None]) -> None:
        """What the host does not have."""
        if entry.kind == FOLDER:
            self.folder(entry.path, entry.mode)
        elif entry.kind == LINK:
            self._member(entry.path, tarfile.SYMTYPE, 0o777, target=source.target(entry))
            progress(entry.size_bytes)
        elif entry.kind == FILE:
            self._member(entry.path, tarfile.REGTYPE, _unwritable(entry), size_bytes=entry.size_bytes)
            for chunk in source.content(entry):
                self.into.expect(chunk)
                self._write(chunk)
                progress(len(chunk))
            self._fill(tarfile.BLOCKSIZE)

    def end(self) -> None:
        """The two empty blocks that say so."""
        self._write(tarfile.NUL * 2 * tarfile.BLOCKSIZE)
        self._fill(tarfile.RECORDSIZE)
        self.into.end()

    def _member(self, path: str, kind: bytes, mode: int, *, size_bytes: int = 0, target: str = "") -> None:
        name = f"{self.top}/{path}".rstrip("/")
        self._write(header(name, kind, mode, self.mtime, size_bytes=size_bytes, target=target))

    def _fill(self, multiple: int) -> None:
        self._write(tarfile.NUL * (-self.size_bytes % multiple))

    def _write(self, block: bytes) -> None:
        self.size_bytes += len(block)
        self.into.write(block)


def _content(entry: Entry, build: Build) -> Iterator[bytes]:
    """Exactly as many bytes as the manifest says, or `Refused`."""
    if entry.path in build.files:
        yield build.files[entry.path]
        return
    with _opened(entry, build) as file:
        left = entry.size_bytes
        while chunk := file.read(min(left + 1, CHUNK_BYTES)):
            left -= len(chunk)
            if left < 0:
                raise _changed(entry)
            yield chunk
        if left:
            raise _changed(entry)


def _shrinks(entry: Entry, build: Build) -> bool:
    """Does a large file, by what it has at eight places? Where it begins and ends it may have a table of contents."""
    if entry.path in build.files:
        return True  # which we have written
    with _opened(entry, build) as file:
        places = (entry.size_bytes * (2 * number + 1) // 16 for number in range(8))
        return shrinks(b"".join(os.pread(file.fileno(), SAMPLE_BYTES // 8, place) for place in places))


@contextmanager
def _opened(entry: Entry, build: Build) -> Iterator[BinaryIO]:
    """A file of the tree, or `Refused` where it is none any more."""
    with _unchanged(entry):
        file = open(build.tree / entry.path, "rb", buffering=0, opener=_without_waiting)  # noqa: SIM115
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise _changed(entry)
        yield file


def _without_waiting(path: str, flags: int) -> int:
    """Open *path* itself: not what it links to by now, nor a fifo that nobody writes to."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _unwritable(entry: Entry) -> int:
    return entry.mode & 0o777 & ~0o222


@contextmanager
def _unchanged(entry: Entry) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _changed(entry) from error


def _changed(entry: Entry) -> Refused:
    return Refused(
        f"{entry.path!r} changed while it was being sent",
        hint="ship a commit, or deploy when nothing writes there",
    )
