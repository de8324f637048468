"""The site whose deploys are interrupted: it has everything that has a step of its own."""

import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.app import App
from tests.everything import tables
from tests.sshd import Sshd

# The number of the process lies beside the root: as on any host, it is on another file system than what fills up.
PROVE = "readlink /proc/$(cat ../../../pid)/cwd"
MORE = tables(schema="../../shared/schema", prove=PROVE)
PLAIN = f"""
[shared]
files = [".env"]
[processes.web]
kind = "command"
reload = "sh reload"
prove = "{PROVE}"
[keep]
releases = 3
"""
BESIDE = ("second", "third")
# The number in the file may be a stranger's by now: a reload may have been cut short behind its kill. What it starts
# has whole paths: held at the gate, it would come to life when another has long taken its place.
RELOAD = """\
root=$(cd -P ../.. && pwd -P)
old=$(cat ../../../pid 2>/dev/null)
case $(readlink "/proc/${old:-none}/cwd") in "$root/releases/"*) kill "$old" ;; esac
start='echo $$ >../../../new; /bin/mv ../../../new ../../../pid; exec /bin/sleep 72h'
/usr/bin/setsid /bin/sh -c "$start" >/dev/null 2>&1 &
until [ "$(cat ../../../pid 2>/dev/null)" != "$old" ]; do sleep 0.02; done
"""


class Site(App):
    """A project of which every release says its version first and last; *others* are hosts of the same deploy.

    They are called ``second`` and ``third`` in deploy.toml, ahead of our own where they *lead*.
    """

    others: tuple["Site", ...] = ()
    lead = False

    @classmethod
    def at(cls, home: Path, sshd: Sshd, address: str, *, more: str = MORE) -> "Site":
        """The project in *home*, with its root there, too, and what is shared."""
        site = cls(home / "shop", home / "srv", address, sshd.ssh_config)
        site.configure(more, settle_s=0.05)
        (site.root / "shared").mkdir(exist_ok=True)
        (site.root / "shared" / ".env").write_text("A=1\n")
        (site.root / "shared" / "schema").touch()
        return site

    def write(self, version: str) -> None:
        """The version is a line in three files, unless `prepare` makes the third: all must say the same."""
        prepares = "[prepare]" in (self.folder / "deploy.toml").read_text()
        for name in ("version", "last", *(() if prepares else ("prepared",))):
            (self.folder / name).write_text(f"{version}\n")
        (self.folder / "reload").write_text(RELOAD)

    @property
    def hosts(self) -> str:
        """With the others, each of which has a root of its own."""
        tables = [
            f'[hosts.{name}]\nssh = ["{other.address}"]\nroot = "{other.root}"\n'
            for name, other in zip(BESIDE, self.others, strict=False)
        ]
        return "".join((*tables, super().hosts) if self.lead else (super().hosts, *tables))

    @property
    def each(self) -> tuple["Site", ...]:
        """The site on each host."""
        return (self, *self.others)

    @property
    def named(self) -> str:
        """All of them, as --host takes them."""
        return ",".join(("prod", *BESIDE[: len(self.others)]))

    @contextmanager
    def running(self) -> Iterator["Site"]:
        """Its process runs what is live; whatever runs there at the end is ended."""
        self.pid.unlink(missing_ok=True)
        subprocess.run(["sh", "reload"], cwd=self.root / "current", check=True)
        try:
            yield self
        finally:
            self.end()

    def end(self) -> None:
        """End its process; not a stranger that has its number by now."""
        if self.runs.startswith(f"{self.root.resolve()}/releases/"):
            os.kill(self.daemon, signal.SIGKILL)

    @property
    def live(self) -> str:
        """Without the end of its line."""
        return super().live.strip()

    @property
    def pid(self) -> Path:
        """The file with the number of its process."""
        return self.root.parent / "pid"

    @property
    def daemon(self) -> int:
        """The process of the site."""
        try:
            return int(self.pid.read_text())
        except (FileNotFoundError, ValueError):
            return 0

    @property
    def runs(self) -> str:
        """The release that the process runs in."""
        try:
            return os.readlink(f"/proc/{self.daemon}/cwd")
        except FileNotFoundError:
            return ""

    @property
    def locked(self) -> bool:
        """Does anybody hold the lock?"""
        with (self.root / ".switchover" / "lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def inside(self, name: str) -> list[str]:
        """What lies in a directory of .switchover."""
        path = self.root / ".switchover" / name
        return sorted(p.name for p in path.iterdir()) if path.is_dir() else []

    def events(self, number: int) -> list[str]:
        """What the journal says of one deploy."""
        return [e["event"] for e in self.journal if e.get("deploy") == number and e["event"] != "step"]

    @property
    def last(self) -> dict[str, Any]:
        """The event by which the journal knows the last deploy, be it only that it failed before it was begun."""
        return [event for event in self.journal if event["event"] in ("deploy", "live", "reverted", "failed")][-1]

    @property
    def number(self) -> int:
        """Of the last deploy."""
        return max(event.get("deploy", 0) for event in self.journal)


def copied(tree: Path, to: Path) -> None:
    """The root *tree* at *to*."""
    shutil.copytree(tree, to, symlinks=True, dirs_exist_ok=True)
    renamed(to, tree, to)


def renamed(root: Path, old: Path, new: Path) -> None:
    """An arm below *root*, whose scripts name it, says *new* in place of *old*."""
    for script in (root / ".switchover" / "armed").glob("*/*"):
        if not script.is_symlink():
            script.write_text(script.read_text().replace(str(old), str(new)))
