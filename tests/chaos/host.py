"""One host of the walk: a root on a small disk of its own, behind an sshd and a line of its own, seen from inside."""

import fcntl
import gzip
import hashlib
import json
import os
import signal
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from tests.line import Line
from tests.reader import Reader
from tests.sshd import Sshd

DISK = "size=24m,nr_inodes=2500"


class Host:
    """*name* is that of its table in deploy.toml. A context manager; who may not mount has no small disk."""

    def __init__(self, name: str, home: Path, number: int) -> None:
        self.name, self.home, self.number = name, home, number
        self.root, self.run = home / "srv", home / "run"
        self.mounted = False
        self.suffered: list[str] = []  # faults of this turn
        self.excused: set[str] = set()  # lines of the journal that a fault has cut
        self.orphaned = False  # a dead man's switch was killed: the next session settles what it had left
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        self.root.mkdir(parents=True)
        self.run.mkdir()
        self.mounted = os.geteuid() == 0 and self.mount()
        (self.run / "number").write_text(f"{self.number}\n")
        (self.run / "schema").touch()
        (self.root / "shared").mkdir()
        (self.root / "shared" / ".env").write_text("A=1\n")
        self.sshd = self._ends.enter_context(self.server())
        self.line: Line = self._ends.enter_context(self.sshd.line())
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.root)], check=True)

    def mount(self) -> bool:
        """Give the root a disk of its own; False when it has none."""
        mount = ["mount", "-t", "tmpfs", "-o", DISK, "tmpfs", str(self.root)]
        return subprocess.run(mount, stderr=subprocess.DEVNULL).returncode == 0

    def server(self) -> Sshd:
        """The sshd, not started yet."""
        return Sshd()

    @property
    def private(self) -> Path:
        """What is ours in the root."""
        return self.root / ".switchover"

    @property
    def live(self) -> str:
        """The ID that ``current`` names; empty when there is none."""
        try:
            return os.readlink(self.root / "current").removeprefix("releases/")
        except FileNotFoundError:
            return ""

    @property
    def locked(self) -> bool:
        """Does anybody hold the lock?"""
        if not self.private.is_dir():
            return False
        with (self.private / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def inside(self, name: str = ".") -> list[str]:
        """What lies in a directory of .switchover."""
        path = self.private / name
        return sorted(p.name for p in path.iterdir()) if path.is_dir() else []

    @property
    def filled(self) -> bool:
        """Was there a moment in this turn in which nothing could be written?"""
        return bool({"full", "inodes"} & set(self.suffered))

    @property
    def armed(self) -> list[str]:
        """What waits to be settled: switches that nobody confirmed, and that are confirmed but not finished."""
        found = [f"{name}/{arm}" for name in ("armed", "confirmed") for arm in self.inside(name)]
        return [name for name in found if not name.endswith(".new")]

    @property
    def releases(self) -> list[str]:
        """The directories of releases, complete or not."""
        return sorted(path.name for path in (self.root / "releases").glob("*"))

    @property
    def complete(self) -> list[str]:
        """The releases that have a manifest."""
        return [name.removesuffix(".gz") for name in self.inside("manifests") if not name.startswith(".")]

    @property
    def lines(self) -> list[str]:
        """The lines of the journal."""
        path = self.private / "journal.jsonl"
        return path.read_text(errors="replace").splitlines() if path.exists() else []

    @property
    def journal(self) -> list[dict[str, Any]]:
        """Every event in it; lines that were cut are left out."""
        found = []
        for line in self.lines:
            with suppress(ValueError):
                found.append(json.loads(line))
        return found

    def events(self, number: int) -> list[str]:
        """What the journal says of one deploy, but its steps."""
        return [e["event"] for e in self.journal if e.get("deploy") == number and e["event"] != "step"]

    @property
    def daemons(self) -> list[int]:
        """The processes of the site; one, unless something is wrong."""
        return [pid for pid in _pids() if _command(pid)[1:] == ["72h", f"0.{self.number}"]]

    @property
    def left(self) -> dict[int, str]:
        """The processes that sessions run or left, but for the one of the site: pid → command."""
        daemons = self.daemons
        found = {pid: " ".join(_command(pid))[:160] for pid in self.sshd.processes() if pid not in daemons}
        return {pid: command for pid, command in found.items() if command}

    def runs(self) -> list[str]:
        """The directory of each process of the site."""
        found = []
        for pid in self.daemons:
            with suppress(OSError):
                found.append(os.readlink(f"/proc/{pid}/cwd"))
        return found

    def start(self) -> None:
        """Start the process of what is live, as an init of the host would."""
        subprocess.run(["sh", "reload"], cwd=self.root / "current", check=True)

    def kill(self, pid: int) -> None:
        """As the kernel does when memory is short."""
        self.orphaned = self.orphaned or any(word == "armed/" for word in _command(pid))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def end(self) -> None:
        """End the process of the site."""
        for pid in self.daemons:
            os.kill(pid, signal.SIGKILL)

    def broken(self, release: str) -> list[str]:
        """Which files of a release are not what its manifest says."""
        text = gzip.decompress((self.private / "manifests" / f"{release}.gz").read_bytes()).decode()
        found = []
        for line in text.splitlines():
            sha, mode, _, path = line.split(" ", 3)
            file = self.root / "releases" / release / path
            if mode.startswith("100") and (not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != sha):
                found.append(path)
        return found

    def version(self, release: str) -> set[str]:
        """What the files of a release say of their version: one word, when it is whole."""
        return {(self.root / "releases" / release / name).read_text() for name in Reader.files}


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []
