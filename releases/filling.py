"""A folder that is filled with the entries of an archive, none of which can leave it."""

import gzip
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import IO

from .errors import Refused
from .manifest import FILE, FOLDER, LINK

HARD_LINK = 0o170000  # no file type of stat(2) has this number
DEEPEST = 255  # folders in folders; Python can't remove a tree of more than some 900


def points_out(path: str, target: str) -> bool:
    """Whether a link at *path* with this *target* names, read as text, something above or beside the top.

    >>> points_out("bin/tool", "../lib/tool"), points_out("bin/tool", "../../etc"), points_out("a", "/etc")
    (False, True, True)
    """
    named = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return target.startswith("/") or named == ".." or named.startswith("../")


def leads_out(link: Path, top: Path) -> bool:
    """Whether *link*, followed through all other links, ends outside *top*.

    Text alone can't tell: with ``a/b/c -> ../..`` the link ``x -> a/b/c/..`` leaves, and reads as if not.
    """
    return not Path(os.path.realpath(link)).is_relative_to(os.path.realpath(top))


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive, whatever its format."""

    name: str
    kind: int
    mode: int = 0
    target: str = ""
    open: Callable[[], IO[bytes]] | None = None


@dataclass
class Filling:
    """The folder that is filled: members stay inside, and none is written through a link.

    *closed*: no link may point out of it either.
    """

    archive: str
    top: Path
    closed: bool = True
    folders: dict[str, int] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)

    def fill(self, members: Iterable[Member]) -> None:
        """Write all *members*; permissions of folders come last, since one may forbid writing into it."""
        self.top.mkdir(parents=True, exist_ok=True)
        for member in members:
            with self._named(member):
                self._write(member, self._inside(member.name, member.name))
        for link in self.links if self.closed else ():
            if leads_out(self.top / link, self.top):
                raise self._refused(link, "is a link that leads outside")
        for path, mode in self.folders.items():
            (self.top / path).chmod(mode)

    def _write(self, member: Member, path: str) -> None:
        if member.kind == FOLDER:
            self._folder(member, path)
            return
        if not path:
            raise self._refused(member.name, "has no name")
        self._make_way(member, path)
        if member.kind == LINK:
            self._link(member, path)
        elif member.kind == HARD_LINK:
            self._hard_link(member, path)
        elif member.kind == FILE:
            self._file(member, path)
        else:
            raise self._refused(member.name, "is neither a file, a folder nor a link")

    def _folder(self, member: Member, path: str) -> None:
        if path:
            self._enter(member, path)
            self.folders[path] = member.mode & 0o777 | 0o700

    def _link(self, member: Member, path: str) -> None:
        if self.closed and points_out(path, member.target):
            raise self._refused(member.name, f"is a link that points outside ({member.target!r})")
        os.symlink(member.target, self.top / path)
        self.links.append(path)

    def _hard_link(self, member: Member, path: str) -> None:
        target = self._inside(member.target, member.name)
        if target not in self.files:
            raise self._refused(member.name, f"is a hard link to {member.target!r}, not a file before it")
        os.link(self.top / target, self.top / path)
        self.files.add(path)

    def _file(self, member: Member, path: str) -> None:
        assert member.open
        descriptor = os.open(self.top / path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file, member.open() as content:
            shutil.copyfileobj(content, file, 1 << 18)
            os.fchmod(file.fileno(), member.mode & 0o777 | 0o400)
        self.files.add(path)

    def _make_way(self, member: Member, path: str) -> None:
        """Make the folders above *path*; a file that is there already gives way, as with tar."""
        self._enter(member, os.path.dirname(path))
        kind = self._kind(path)
        if kind == FILE:
            os.unlink(self.top / path)
            self.files.discard(path)
        elif kind:
            raise self._refused(member.name, f"is there already, as {_words(kind)}")

    def _enter(self, member: Member, folder: str) -> None:
        for path in accumulate(folder.split("/"), "{}/{}".format):
            if not path or path in self.folders:
                continue
            kind = self._kind(path)
            if kind not in (0, FOLDER):
                raise self._refused(member.name, f"goes through {path!r}, which is {_words(kind)}")
            if not kind:
                os.mkdir(self.top / path)
            self.folders[path] = 0o755

    def _kind(self, path: str) -> int:
        try:
            return stat.S_IFMT(os.lstat(self.top / path).st_mode)
        except FileNotFoundError:
            return 0

    def _inside(self, name: str, member: str) -> str:
        """*name* without empty and ``.`` parts; "" is the top itself."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/"):
            raise self._refused(member, "is an absolute path" if name == member else f"links to {name!r}")
        if ".." in parts:
            raise self._refused(member, "leaves the archive" if name == member else f"links to {name!r}")
        if len(parts) > DEEPEST:
            raise self._refused(member, f"lies in more than {DEEPEST} folders")
        return "/".join(parts)

    def _refused(self, name: str, why: str) -> Refused:
        return Refused(f"{self.archive}: {name!r} {why}", hint="pack the artifact without it")

    @contextmanager
    def _named(self, member: Member) -> Iterator[None]:
        """What the file system says about a member is said with its name."""
        try:
            yield
        except gzip.BadGzipFile:
            raise
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise Refused(f"{self.archive}: {member.name!r} can't be unpacked: {why}") from error


def _words(kind: int) -> str:
    return {FILE: "a file", FOLDER: "a folder", LINK: "a link"}.get(kind, "something else")
