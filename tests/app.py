"""An application of a test: a project folder, a root on a host, and the real command line in between."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.forks import REPOSITORY, Command


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it said with ``--json``."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]


def environ(home: Path) -> dict[str, str]:
    """Ours, for who has *home*: nothing of yours is read or written, and Python compiles a module once, as it does."""
    ours = {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "PYTHONPATH": str(REPOSITORY)}
    left_out = ("SSH_AUTH_SOCK", "PYTHONDONTWRITEBYTECODE")
    return {key: value for key, value in os.environ.items() if key not in left_out} | ours


@dataclass
class App:
    """A project in *folder*, deployed to *root* over *address*; ``HOME`` is its own, with a key and known hosts."""

    folder: Path
    root: Path
    address: str
    ssh_config: Path
    environment: dict[str, str] = field(default_factory=dict)
    more: str = ""

    def __post_init__(self) -> None:
        for path in (self.folder, self.home / ".ssh", self.root):
            path.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.ssh_config, self.home / ".ssh" / "config")
        self.configure(self.more)

    @property
    def home(self) -> Path:
        """The home directory of who deploys."""
        return self.folder.parent / "home"

    @property
    def hosts(self) -> str:
        """The tables of its hosts in deploy.toml."""
        return f'[hosts.prod]\nssh = ["{self.address}"]\n'

    @property
    def environ(self) -> dict[str, str]:
        """What a command of it finds in its environment."""
        return environ(self.home) | self.environment

    def configure(self, more: str = "", *, build: str = 'source = "folder"', settle_s: float = 0.1) -> None:
        """Write deploy.toml: a site from the folder itself, and *more* tables."""
        (self.folder / "deploy.toml").write_text(
            f'app = "shop"\nroot = "{self.root}"\n'
            f"{self.hosts}"
            f'[build]\n{build}\nexclude = ["deploy.toml"]\n'
            f"[strategy]\nsettle_s = {settle_s}\n{more}"
        )

    def write(self, version: str) -> None:
        """Change what would be shipped."""
        (self.folder / "version").write_text(version)

    def start(self, *words: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start ``switchover WORDS``; it leads a process group of its own."""
        return Command(words, cwd=self.folder, env={**self.environ, **(environment or {})})

    def run(self, *words: str, limit_s: float = 120, environment: Mapping[str, str] | None = None) -> Result:
        """Run ``switchover WORDS`` to its end."""
        process = self.start(*words, environment=environment)
        try:
            out, err = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"{words} did not end within {limit_s} s\n{out}\n{err}") from None
        return Result(process.returncode, out, err)

    def deploy(self, version: str, *words: str) -> Result:
        """Change the project and deploy it; fails the test when that fails."""
        self.write(version)
        result = self.run("deploy", *words)
        assert result.code == 0, result.err
        return result

    @property
    def live(self) -> str:
        """The version that ``current`` leads to; empty when there is none."""
        try:
            return (self.root / "current" / "version").read_text()
        except FileNotFoundError:
            return ""

    @property
    def journal(self) -> list[dict[str, Any]]:
        """Every event on the host; lines that were cut are left out."""
        path = self.root / ".switchover" / "journal.jsonl"
        found = []
        for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    @property
    def releases(self) -> list[str]:
        """The directories of releases, complete or not, as the journal has them; two may be of one second."""
        told = [event["release"] for event in self.journal if isinstance(event, dict) and event.get("release")]
        names = sorted(path.name for path in (self.root / "releases").glob("*"))
        return sorted(names, key=lambda name: told.index(name) if name in told else len(told))


def until(condition: Any, *, limit_s: float = 30, what: str | Callable[[], str] = "it") -> None:
    """Wait for a condition; fail the test when it does not come, with *what* that is, as it is by then."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"{what if isinstance(what, str) else what()} did not come within {limit_s} s"
        time.sleep(0.02)
