"""A folder on this machine → what of it is shipped; nothing that would mean something else on a host."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pathspec import GitIgnoreSpec

from .errors import Refused, UsageError
from .filling import leads_out, points_out
from .manifest import FILE, FOLDER, LINK, Entry

RESERVED = ("RELEASE", ".release", ".manifest.gz")
PIECE_BYTES = 1 << 18
KINDS = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a fifo",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What is never shipped: gitignore *patterns*, the *shared* paths, and any ``.git``."""

    patterns: GitIgnoreSpec
    shared: frozenset[str]

    @classmethod
    def of(cls, patterns: Iterable[str], shared: Iterable[str]) -> "Exclusion":
        """Read *patterns* as lines of a .gitignore; `UsageError` names one that is none."""
        try:
            spec = GitIgnoreSpec.from_lines(patterns)
        except ValueError as error:
            raise UsageError(f"[build] exclude: {error}") from error
        return cls(spec, frozenset(str(PurePosixPath(path)) for path in shared))

    def holds(self, path: str, *, folder: bool) -> bool:
        """Whether *path* itself is excluded; what lies in an excluded folder is never asked for."""
        if path in self.shared or os.path.basename(path) == ".git":
            return True
        line = path.replace("\n", "\N{REPLACEMENT CHARACTER}")  # a pattern is one line, and its regex stops at one
        return self.patterns.match_file(f"{line}/" if folder else line)

    def covers(self, path: str) -> bool:
        """Whether the file *path* or any folder above it is excluded."""
        above = [str(parent) for parent in PurePosixPath(path).parents][:-1]
        return self.holds(path, folder=False) or any(self.holds(parent, folder=True) for parent in above)


def shipped(tree: Path, exclusion: Exclusion) -> list[Entry]:
    """Files, folders and links of *tree*, in no order.

    `Refused`, by name, for a link out of the tree, a socket, fifo or device, what can't be read, and our
    own names. 25 000 files of 20 kB take 0.7 s, of which half are their digests; threads made it longer.
    """
    found = sorted(_walk(tree, exclusion))
    for path in RESERVED:
        if any(path == there for there, _ in found):
            raise Refused(f"{path!r} is reserved: every release has one of ours", hint="rename or exclude it")
    piece = memoryview(bytearray(PIECE_BYTES))
    return [_entry(tree, path, mode, piece) for path, mode in found]


def _entry(tree: Path, path: str, mode: int, piece: memoryview) -> Entry:
    if stat.S_ISDIR(mode):
        return Entry(path, FOLDER | mode & 0o777, "-", 0)
    return _link(tree, path) if stat.S_ISLNK(mode) else _file(tree, path, mode, piece)


def _walk(tree: Path, exclusion: Exclusion) -> Iterator[tuple[str, int]]:
    """Path and mode of all that is not excluded; an excluded folder is not entered."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        for name, mode in _listed(tree, folder):
            path = f"{folder}/{name}" if folder else name
            if exclusion.holds(path, folder=stat.S_ISDIR(mode)):
                continue
            if kind := KINDS.get(stat.S_IFMT(mode)):
                raise Refused(f"{path!r} is {kind}, which can't be shipped", hint="exclude it")
            yield path, mode
            if stat.S_ISDIR(mode):
                waiting.append(path)


def _listed(tree: Path, folder: str) -> list[tuple[str, int]]:
    try:
        with os.scandir(tree / folder) as entries:
            return sorted((entry.name, entry.stat(follow_symlinks=False).st_mode) for entry in entries)
    except OSError as error:
        raise _unreadable(folder or str(tree), error) from error


def _file(tree: Path, path: str, mode: int, piece: memoryview) -> Entry:
    """Read into *piece*, which is for all of them: `hashlib.file_digest` makes one of its own for each."""
    digest, size_bytes = hashlib.sha256(), 0
    try:
        with open(f"{tree}/{path}", "rb", buffering=0) as file:
            while read := file.readinto(piece):
                digest.update(piece[:read])
                size_bytes += read
        return Entry(path, FILE | mode & 0o777, digest.hexdigest(), size_bytes)
    except OSError as error:
        raise _unreadable(path, error) from error


def _link(tree: Path, path: str) -> Entry:
    target = os.readlink(tree / path)
    if points_out(path, target) or leads_out(tree / path, tree):
        raise Refused(
            f"{path!r} is a link out of the release, to {target!r}",
            hint="exclude it, or have it made on the host by a command of [prepare]",
        )
    text = os.fsencode(target)
    return Entry(path, LINK | 0o777, hashlib.sha256(text).hexdigest(), len(text))


def _unreadable(path: str, error: OSError) -> Refused:
    return Refused(f"{path!r} can't be read: {error.strerror}", hint="make it readable, or exclude it")
