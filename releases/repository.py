"""A git revision → its files in a directory, without anything that is not committed."""

import difflib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .archive import unpack_export
from .errors import Refused

SUBMODULE = "160000"
POINTER = b"version https://git-lfs.github.com/spec/v1"
POINTER_BYTES = 1024  # the most that Git LFS takes for a pointer
OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")  # they would name another repository
USE_FOLDER = '`[build] source = "folder"` ships the tree as it is'


@dataclass(frozen=True, slots=True)
class Tracked:
    """One path of a commit, relative to the project; *mode* as git prints it."""

    path: str
    mode: str
    size_bytes: int

    @property
    def is_submodule(self) -> bool:
        """Another repository, of which this one holds only the name of a commit."""
        return self.mode == SUBMODULE

    def is_pointer(self, tree: Path) -> bool:
        """Whether its file in *tree* is what Git LFS left in the place of the real one."""
        file = tree / self.path
        if self.size_bytes > POINTER_BYTES or file.is_symlink() or not file.is_file():
            return False
        with file.open("rb") as content:
            return content.read(len(POINTER)) == POINTER


@dataclass(frozen=True, slots=True)
class Repository:
    """The git repository that *project* is, or is a subdirectory of; then only that subdirectory counts."""

    project: Path

    def commit(self, revision: str) -> str:
        """The full commit id; `Refused` with what looks like *revision* when there is none."""
        self._must_exist()
        asked = self._ask("rev-parse", "--quiet", "--verify", "--end-of-options", f"{revision}^{{commit}}")
        commit = os.fsdecode(asked.stdout).strip().rpartition("\n")[2]
        if not asked.returncode and re.fullmatch(r"[0-9a-f]{40,64}", commit):
            return commit
        if not self._answer("rev-list", "--max-count=1", "--all"):
            raise Refused(f"{self.project} has no commits", hint=f"commit something; or: {USE_FOLDER}")
        raise Refused(f"no such revision: {revision}", hint=self._nearest(revision))

    def subject(self, commit: str) -> str:
        """The first line of its message."""
        logged = self._answer("log", "-1", "--no-show-signature", "--encoding=UTF-8", "--format=%s", commit)
        return logged.decode("utf-8", "replace").strip()

    def is_dirty(self) -> bool:
        """Whether anything is not committed; new files count, ignored ones don't."""
        return bool(self._ask("status", "--porcelain", "--", ".").stdout)

    def tracked(self, commit: str) -> Iterator[Tracked]:
        """All that *commit* has in the project, in git's order."""
        for line in self._answer("ls-tree", "-r", "-l", "-z", commit).split(b"\0")[:-1]:
            facts, _, path = os.fsdecode(line).partition("\t")
            mode, _, _, size = facts.split()
            yield Tracked(path, mode, 0 if size == "-" else int(size))

    def export(self, commit: str, into: Path) -> None:
        """Write the files of *commit*, with the permissions git knows: 755 and 644, whatever the umask is."""
        archive = self._command("-c", "tar.umask=0022", "archive", "--format=tar", commit)
        with (
            tempfile.TemporaryFile() as complaints,
            subprocess.Popen(
                archive, cwd=self.project, env=_environment(), stdout=subprocess.PIPE, stderr=complaints
            ) as git,
        ):
            assert git.stdout
            broken = None
            try:
                unpack_export(git.stdout, into)
            except Refused as error:
                broken = error
                git.stdout.close()
            if git.wait() > 0:
                complaints.seek(0)
                raise _complaint("archive", complaints.read())
            if broken:
                raise broken

    def _must_exist(self) -> None:
        if shutil.which("git") is None:
            raise Refused("git is not installed", hint=f"install it; or: {USE_FOLDER}")
        asked = self._ask("rev-parse", "--git-dir")
        if asked.returncode and b"not a git repository" in asked.stderr:
            raise Refused(f"{self.project} is not a git repository", hint=f"`git init`; or: {USE_FOLDER}")
        if asked.returncode:
            raise _complaint("rev-parse", asked.stderr)

    def _nearest(self, revision: str) -> str:
        if self._answer("rev-parse", "--is-shallow-repository").strip() == b"true":
            return "`git fetch --unshallow`: this clone has not all commits"
        refs = self._answer("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", "refs/remotes")
        names = os.fsdecode(refs).split()
        remote = [name for name in names if name.endswith(f"/{revision}")]
        for name in remote or difflib.get_close_matches(revision, names, n=1):
            return f"did you mean `{name}`? `git fetch` gets what is new on the remote"
        return "`git fetch` gets what is new on the remote"

    def _command(self, *words: str) -> list[str]:
        return ["git", "--no-optional-locks", *words]

    def _ask(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                self._command(*words), cwd=self.project, env=_environment(), capture_output=True, check=False
            )
        except ValueError as error:  # a NUL in a revision
            raise Refused(f"git {words[0]}: {error}") from error

    def _answer(self, *words: str) -> bytes:
        asked = self._ask(*words)
        if asked.returncode:
            raise _complaint(words[0], asked.stderr)
        return asked.stdout


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in OF_A_HOOK} | {"LC_ALL": "C"}


def _complaint(command: str, stderr: bytes) -> Refused:
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    fatal = next((line for line in lines if line.startswith("fatal: ")), lines[-1] if lines else "failed")
    return Refused(f"git {command}: {fatal.removeprefix('fatal: ')}")
