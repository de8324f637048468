"""A revision, a folder or an artifact → a tree and its manifest."""

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from .archive import unpack
from .errors import BuildFailed, CommandFailed, Refused
from .filling import leads_out
from .local import Say, run
from .manifest import FILE, FOLDER, Entry, Manifest
from .repository import Repository
from .tree import Exclusion, shipped

if TYPE_CHECKING:
    from .config import Config


@dataclass(frozen=True, slots=True)
class Build:
    """What would be shipped: what *manifest* names is in *tree*, or in *files* (path to content, mode 0o755).

    *revision* is a full commit id, "folder", or "artifact:NAME@" and the start of its sha256. *subject* is
    the first line of the commit message. *dirty*: the work tree has changes that are not committed, and so
    not shipped.
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
    """Build and test *revision* of *project*, and hash what would be shipped.

    A commit is exported (by ``git archive``, so export-ignore and export-subst are honoured) into a clean
    directory: the whole of it, or the subdirectory that *project* is. A folder is built and read in place. An
    artifact is unpacked, with any top folder it has. What is made for it lives until this process exits.

    The commands see RELEASE_REVISION; *say* gets their output line by line. Never shipped: ``.git``, what is
    shared, what is excluded (patterns are about paths in the release).

    Raises `BuildFailed` when a command fails or is not done in time, else `Refused` with the name of what
    can't be shipped.
    """
    exclusion = Exclusion.of(config.build.exclude, (*config.shared.files, *config.shared.dirs))
    source = _source(project.resolve(), config.build.source, revision, exclusion)
    for stage, command in (("build", config.build.command), ("test", config.build.test)):
        if command:
            _run(stage, command, source, timeout_s=config.build.timeout_s, say=say)
    tree = _top(source.tree, config.build.output)
    entries = shipped(tree, exclusion)
    if not entries:
        where = source.origin if config.build.output == "." else f"{config.build.output} of {source.origin}"
        raise Refused(
            f"nothing to ship: {where} is empty, or all of it is excluded",
            hint="[build] output and exclude say what is shipped",
        )
    manifest = Manifest.of((*entries, *_added(files, {entry.path: entry for entry in entries})))
    manifest.packed()  # now, while hosts are still being called
    return Build(tree, manifest, source.revision, files, source.subject, source.dirty)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the commands run; *origin* is what people call it, *caveat* what surprises them there."""

    tree: Path
    origin: str
    revision: str
    subject: str = ""
    dirty: bool = False
    caveat: str = ""


def _source(project: Path, source: str, revision: str, exclusion: Exclusion) -> _Source:
    if source == "git":
        return _commit(Repository(project), revision, exclusion)
    if source == "folder":
        return _Source(project, str(project), "folder")
    return _artifact(project / source)


def _commit(repository: Repository, revision: str, exclusion: Exclusion) -> _Source:
    commit = repository.commit(revision)
    tracked = [path for path in repository.tracked(commit) if not exclusion.covers(path.path)]
    for path in tracked:
        if path.is_submodule:
            raise Refused(
                f"{path.path!r} is a submodule, and git archive leaves it empty",
                hint='exclude it, or `[build] source = "folder"` where it is checked out',
            )
    tree = _clean_directory(repository.project.name)
    repository.export(commit, tree)
    for path in tracked:
        if path.is_pointer(tree):
            raise Refused(
                f"{path.path!r} is a pointer of Git LFS, not the file itself",
                hint="`git lfs install && git lfs fetch` in the project, or exclude it",
            )
    return _Source(
        tree,
        revision,
        commit,
        repository.subject(commit),
        repository.is_dirty(),
        caveat="it ran in an export of the commit: what is ignored or not committed is not there",
    )


def _artifact(archive: Path) -> _Source:
    tree = _clean_directory(archive.name.partition(".")[0])
    unpack(archive, tree)
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _Source(tree, archive.name, f"artifact:{archive.name}@{digest[:12]}")


def _clean_directory(name: str) -> Path:
    """An empty directory called *name*, since some tools name a project so; gone when this process is."""
    above = Path(tempfile.mkdtemp(prefix="switchover-"))
    atexit.register(_remove, above)
    directory = above / (name or "tree")
    directory.mkdir(mode=0o755)
    return directory


def _remove(directory: Path) -> None:
    for folder, _, _ in os.walk(directory):
        os.chmod(folder, 0o700)  # Go's module cache, for one, is read-only
    shutil.rmtree(directory, ignore_errors=True)


def _top(tree: Path, output: str) -> Path:
    directory = tree / output
    if leads_out(directory, tree):
        raise Refused(f"[build] output: {output!r} leads out of the project")
    if not directory.is_dir():
        raise Refused(f"[build] output: no such directory: {output!r}", hint="does the build command make it?")
    return directory.resolve()


def _added(files: Mapping[str, bytes], there: Mapping[str, Entry]) -> Iterator[Entry]:
    """*files* and the folders above them that are not *there*."""
    for path, content in files.items():
        if path in there:
            raise Refused(f"{path!r} is in the tree, and is one of ours", hint="rename or exclude it")
        yield Entry(path, FILE | 0o755, hashlib.sha256(content).hexdigest(), len(content))
    for folder in {str(parent) for path in files for parent in PurePosixPath(path).parents} - {"."}:
        if folder not in there:
            yield Entry(folder, FOLDER | 0o755, "-", 0)
        elif there[folder].kind != FOLDER:
            raise Refused(f"{folder!r} is not a folder, and one of ours is", hint="rename or exclude it")


def _run(stage: str, command: str, source: _Source, *, timeout_s: float, say: Say) -> None:
    seen = {"RELEASE_REVISION": source.revision}
    try:
        run(stage, command, directory=source.tree, environment=seen, timeout_s=timeout_s, say=say)
    except CommandFailed as error:
        raise BuildFailed(str(error), hint=source.caveat) from error
