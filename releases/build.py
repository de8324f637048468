"""A revision, a folder or an artifact → a tree and its manifest."""

import atexit
import hashlib
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .archive import unpack, unpack_export
from .errors import Refused
from .manifest import FILE, Manifest

if TYPE_CHECKING:
    from .config import Config

RESERVED = ("RELEASE", ".release")
SCRIPT_MODE = FILE | 0o755
SUBMODULE = "160000"
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
LFS_POINTER_BYTES = 1024  # a pointer is smaller, says its specification
HASHED_AT_ONCE = 256  # files per task of a thread
GRACE_S = 2.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Build:
    """What would be shipped: what *manifest* names is in *tree*, or in *files* (path to content, mode 0o755).

    *revision* is a full commit id, "folder", or "artifact:NAME@" and the start of its sha256. *subject* is the
    first line of the commit message. *dirty*: the work tree has changes that are not committed, so not shipped.
    """

    tree: Path
    manifest: Manifest
    revision: str
    files: Mapping[str, bytes]
    subject: str
    dirty: bool


def build(
    project: Path, config: "Config", revision: str = "HEAD", *, files: Mapping[str, bytes] = {}, say: Say
) -> Build:
    """Build and test *revision* of *project*, and hash what would be shipped; nothing in it is guessed.

    From git, the commit is exported (``git archive``, so export-ignore and export-subst are honoured) into a
    clean directory, from the subdirectory that *project* is. A folder is built and read in place. An artifact
    is unpacked, with any top folder it has. The directory lives until this process exits.

    The commands see RELEASE_REVISION, and *say* gets their output line by line. Symlinks are shipped as they
    are; ``.git``, what is shared and what is excluded are not. Folder permissions count as much as those of files.

    Raises `BuildFailed` when a command fails or takes longer than its limit, `Refused` for what can't be
    shipped, by name.
    """
    excluded = _Excluded.of(config)
    source = _source(project.resolve(), config.build.source, revision, excluded)
    for stage, command in (("build", config.build.command), ("test", config.build.test)):
        if command:
            _run(stage, command, source, timeout_s=config.build.timeout_s, say=say)
    tree = _output(source.tree, config.build.output)
    entries = (*_shipped(tree, excluded), *_added(files))
    return Build(tree, Manifest.of(_distinct(entries)), source.revision, files, source.subject, source.dirty)


@dataclass(frozen=True, slots=True)
class _Source:
    tree: Path
    revision: str
    subject: str = ""
    dirty: bool = False


def _source(project: Path, source: str, revision: str, excluded: "_Excluded") -> _Source:
    if source == "git":
        return _commit(project, revision, excluded)
    if source == "folder":
        return _Source(project, "folder")
    return _artifact(project / source)


def _artifact(archive: Path) -> _Source:
    tree = _clean_directory(archive.name.split(".")[0])
    unpack(archive, tree)
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _Source(tree, f"artifact:{archive.name}@{digest[:12]}")


def _clean_directory(name: str) -> Path:
    """An empty directory called *name*, which some tools name the project by; gone when this process is."""
    above = Path(tempfile.mkdtemp(prefix="switchover-"))
    atexit.register(_remove, above)
    directory = above / (name or "tree")
    directory.mkdir(mode=0o755)
    return directory


def _remove(directory: Path) -> None:
    for folder, _, _ in os.walk(directory):
        os.chmod(folder, 0o700)  # some caches make theirs read-only
    shutil.rmtree(directory, ignore_errors=True)


# git


def _commit(project: Path, revision: str, excluded: "_Excluded") -> _Source:
    git = _Git(project)
    commit = git.resolve(revision)
    tree = _clean_directory(project.name)
    for path, mode in git.listed(commit):
        if mode == SUBMODULE and not excluded.above(path):
            raise Refused(
                f"{path!r} is a submodule, which git does not export",
                hint='exclude it, or build where it is checked out, with `[build] source = "folder"`',
            )
    git.export(commit, tree)
    for path, _ in git.listed(commit, smaller_than=LFS_POINTER_BYTES):
        if _is_lfs_pointer(tree / path) and not excluded.above(path):
            raise Refused(
                f"{path!r} is a pointer of Git LFS, not the file",
                hint="`git lfs install && git lfs fetch` here, or exclude it",
            )
    return _Source(tree, commit, git.subject(commit), git.is_dirty())


def _is_lfs_pointer(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(LFS_POINTER)) == LFS_POINTER


@dataclass(frozen=True, slots=True)
class _Git:
    """The repository that *project* is, or is a subdirectory of."""

    project: Path

    def resolve(self, revision: str) -> str:
        """The full commit id; `Refused` with what looks like *revision* when there is none."""
        self._must_be_repository()
        asked = self._ask("rev-parse", "--quiet", "--verify", "--end-of-options", f"{revision}^{{commit}}")
        commit = os.fsdecode(asked.stdout).strip().rpartition("\n")[2]
        if asked.returncode or not re.fullmatch(r"[0-9a-f]{40,64}", commit):
            raise Refused(f"no such revision: {revision}", hint=self._nearest(revision))
        return commit

    def listed(self, commit: str, *, smaller_than: int | None = None) -> Iterator[tuple[str, str]]:
        """Path and mode of all that *commit* has in the project."""
        for line in self._answer("ls-tree", "-r", "-l", "-z", commit).split(b"\0")[:-1]:
            facts, _, path = os.fsdecode(line).partition("\t")
            mode, _, _, size = facts.split()
            if smaller_than is None or (size != "-" and int(size) < smaller_than):
                yield path, mode

    def export(self, commit: str, into: Path) -> None:
        """Write the files of *commit*, with the permissions git knows: 755 and 644, whatever the umask is."""
        command = ["git", "-c", "tar.umask=0022", "archive", "--format=tar", commit]
        with tempfile.TemporaryFile() as complaints, self._open(command, complaints) as git:
            assert git.stdout
            try:
                with tarfile.open(
                    fileobj=git.stdout, mode="r|", encoding="utf-8", errors="surrogateescape"
                ) as tar:
                    unpack_export(tar, into)
                git.stdout.read()
            except Refused:
                if git.wait():
                    complaints.seek(0)
                    raise self._refused(complaints.read()) from None
                raise
            if git.wait():
                complaints.seek(0)
                raise self._refused(complaints.read())

    def subject(self, commit: str) -> str:
        """The first line of its message."""
        asked = (
            "-c",
            "i18n.logOutputEncoding=UTF-8",
            "log",
            "-1",
            "--no-show-signature",
            "--format=%s",
            commit,
        )
        return self._answer(*asked).decode("utf-8", "replace").strip()

    def is_dirty(self) -> bool:
        """Whether anything in the project is not committed; a bare repository has nothing that could be."""
        return bool(self._ask("--no-optional-locks", "status", "--porcelain", "--", ".").stdout)

    def _must_be_repository(self) -> None:
        if shutil.which("git") is None:
            raise Refused("git is not installed", hint='install it, or set `[build] source = "folder"`')
        asked = self._ask("rev-parse", "--git-dir")
        if asked.returncode and b"not a git repository" in asked.stderr:
            raise Refused(
                f"{self.project} is not in a git repository",
                hint='`git init` and commit, or set `[build] source = "folder"`',
            )
        if asked.returncode:
            raise self._refused(asked.stderr)
        if not self._answer("rev-list", "--max-count=1", "--all", "--ignore-missing").strip():
            pass
