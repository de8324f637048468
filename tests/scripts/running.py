"""A host for scripts: one shell, the tools it finds and a root; steps run there as a session runs them."""

import gzip
import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from releases import steps
from releases.answer import Answer
from releases.layout import Layout, Release
from releases.line import command
from releases.lines import chained, request
from releases.manifest import FILE, FOLDER, LINK, Entry, Manifest
from releases.plan import Step
from releases.scripts import quoted, render, source
from tests.app import until
from tests.sshd import toolbox

SHELLS = ("dash", "bash", "busybox")
A, B, C = (Release(f"2026112{i}T000000Z-{i:08x}") for i in range(1, 4))
HOSTILE = (
    'it\'s $(touch pwned) "b"',
    "`touch pwned`",
    "two  words",
    "a\nb",
    "back\\slash \\n",
    "-rf",
    "*",
    "na\u00efve \u2603",
)
NOBODY = 65534
# What a host needs that has nothing but busybox, flock (of util-linux) and a shell.
APPLETS = (
    "awk base64 cat chmod cmp cp cut date df du env find grep gzip head id kill ln ls mkdir mv paste readlink rm sed"
    " setsid sh sha256sum sleep sort stat sync tail tar timeout touch tr true uname wc xargs"
)


@dataclass(frozen=True)
class Ran:
    """How a script ended."""

    code: int
    answer: Answer
    err: str


@dataclass
class Here:
    """A root below *base* on a host whose ``sh`` is *shell*; *unprivileged*: another account, if the suite is root."""

    shell: str
    base: Path
    unprivileged: bool = False
    tools: tuple[str, ...] = ()
    started: list[subprocess.Popen[Any]] = field(default_factory=list)
    heard: list["Heard"] = field(default_factory=list)

    def __post_init__(self) -> None:
        box = self.base / "bin"
        if self.shell == "busybox":
            toolbox(box, *APPLETS.split(), busybox=True)
            toolbox(box, "flock", *self.tools)
            self.path = str(box)
        else:
            box.mkdir(parents=True)
            (box / "sh").symlink_to(shutil.which(self.shell) or self.shell)
            self.path = f"{box}:{os.environ['PATH']}"
        self.sh = str(box / "sh")
        for part in ("releases", "shared", ".switchover/armed", ".switchover/confirmed", ".switchover/manifests"):
            (self.root / part).mkdir(parents=True)

    @staticmethod
    def missing(shell: str) -> str:
        """What must be installed before such a host can be, in one line; empty when nothing is."""
        lacking = [tool for tool in (shell, "flock", "setsid") if not shutil.which(tool)]
        return f"no {', '.join(lacking)}: apt-get install dash bash busybox util-linux" if lacking else ""

    @property
    def root(self) -> Path:
        """The root of the app."""
        return self.base / "srv" / "shop"

    @property
    def layout(self) -> Layout:
        """The same, as steps take it."""
        return Layout(PurePosixPath(self.root))

    @property
    def private(self) -> Path:
        """What is ours in the root."""
        return self.root / ".switchover"

    @property
    def live(self) -> str:
        """What ``current`` says; empty when there is none."""
        return os.readlink(self.root / "current") if (self.root / "current").is_symlink() else ""

    @property
    def journal(self) -> str:
        """The whole journal."""
        path = self.private / "journal.jsonl"
        return path.read_text(errors="replace") if path.exists() else ""

    def step(self, name: str, **values: object) -> Step:
        """A step on this root by its template's name."""
        return Step(name, {"root": self.root, **values}, "")

    def release(self, release: Release, files: Mapping[str, str] | None = None, *, complete: bool = True) -> Path:
        """Put a release there with these *files*; a complete one has a manifest."""
        directory = self.root / "releases" / release.name
        for name, text in (files or {"version": release.name}).items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)
        if complete:
            (self.private / "manifests" / f"{release}.gz").write_bytes(manifest(directory).packed())
        return directory

    def complete(self, directory: Path) -> Release:
        """Name a release after what is in it now, and write its manifest into place."""
        found = manifest(directory)
        release = named(found)
        directory.rename(directory.parent / release.name)
        (self.private / "manifests" / f"{release}.gz").write_bytes(found.packed())
        return release

    def publish(self, release: Release, previous: Release | None = None) -> None:
        """Make a release live as a deploy does."""
        ran = self.run(steps.publish(self.layout, release, previous))
        assert ran.code == 0, ran.err

    def run(self, step: Step | str, *, event: Mapping[str, object] | None = None, path: str = "", **more: str) -> Ran:
        """Run a step, or a script, to its end."""
        script = step if isinstance(step, str) else render(step, event=event)
        process = self.start(self.sh, "-c", script, path=path, **more)
        out, err = process.communicate(timeout=60)
        return Ran(process.returncode, Answer.parse(_text(out)), _text(err))

    def start(self, *words: str, cwd: Path | str = "/", path: str = "", **more: str) -> subprocess.Popen[bytes]:
        """Start a program as this host's account; it leads a session of its own, and ends with the test."""
        environment = {"PATH": path or self.path, "HOME": str(self.base), "LC_ALL": "C", **more}
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if self.drops else {}
        process: subprocess.Popen[bytes] = subprocess.Popen(
            words,
            cwd=cwd,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            **who,  # type: ignore[call-overload]
        )
        self.started.append(process)
        return process

    @property
    def drops(self) -> bool:
        """Whether scripts run as another account than the tests."""
        return self.unprivileged and os.geteuid() == 0

    def own(self) -> None:
        """Give all of the root to the account."""
        if self.drops:
            subprocess.run(["chown", "-Rh", f"{NOBODY}:{NOBODY}", str(self.root)], check=True)

    def processes(self) -> list[int]:
        """What is about this root, by its words."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if str(self.root).encode() in (entry / "cmdline").read_bytes() and int(entry.name) != os.getpid():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def end(self) -> None:
        """End everything that was started here."""
        for process in self.started:
            process.kill()
            process.wait()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for heard in self.heard:
            heard.thread.join(10)
        for pipe in (pipe for process in self.started for pipe in (process.stdin, process.stdout, process.stderr)):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()

    @contextmanager
    def session(
        self, *, lock: bool = True, silence_s: int = 60, wait_s: int = 0, **environment: str
    ) -> Iterator["Talk"]:
        """A session over pipes, ready, refused or waiting; it is ended with the block."""
        path = str(self.private / "lock") if lock else ""
        talk = Talk(self, lock=path, silence_s=silence_s, wait_s=wait_s, **environment)
        try:
            yield talk
        finally:
            talk.hang_up()
            talk.process.wait(20)


class Talk:
    """The controller's side of a session, as `releases.session` speaks it, over pipes instead of SSH."""

    word = "0f1e2d"

    def __init__(self, here: Here, *, lock: str, silence_s: int, wait_s: int = 0, **environment: str) -> None:
        def mine(text: str) -> str:
            return text.replace("/bin/sh", here.sh)

        self.here = here
        runner, main = mine(source("session/runner.sh")), mine(source("session/main.sh"))
        program = f'set -- "$@" {quoted((runner, ""))}\n{main}'
        words = (lock, self.word, str(silence_s), str(wait_s))
        self.process = here.start(here.sh, "-c", mine(command(program, *words)), **environment)
        self.out, self.err = Heard(self.process.stdout), Heard(self.process.stderr)
        here.heard += [self.out, self.err]
        until(self._said, what="a word of the session")
        self.first = self._said()

    def _said(self) -> str:
        """What the session said of itself, once it is whole; a line of its own."""
        found = re.search(rb"^(?:READY|BUSY|FAIL) .*(?=\n)", bytes(self.out.data), re.M)
        return _text(found[0]) if found else ""

    @property
    def ready(self) -> bool:
        """Has it the lock by now?"""
        return f"\nREADY {self.word}\n".encode() in self.out.data

    def send(self, line: bytes) -> None:
        """Send one line."""
        assert self.process.stdin
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def begin(self, *steps: Step | str, limit_s: int = 60, event: Mapping[str, object] | None = None) -> None:
        """Send steps as one line, and do not wait for their end."""
        self.out.data.clear()
        self.err.data.clear()
        scripts = (step if isinstance(step, str) else render(step, event=event) for step in steps)
        self.send(chained([request((script, limit_s)) for script in scripts]))

    def result(self) -> Ran:
        """Wait for the end of the step."""
        mark = f"\nEND {self.word}".encode()
        until(
            lambda: b"\n" in self.err.data.partition(mark)[2] and b"\n" in self.out.data.partition(mark)[2],
            what="the end of the step",
        )
        out, _, rest = bytes(self.out.data).partition(mark + b" ")
        err = bytes(self.err.data).partition(mark)[0]
        return Ran(int(rest.partition(b"\n")[0]), Answer.parse(_text(out)), _text(err))

    def run(self, step: Step | str, *, limit_s: int = 60, event: Mapping[str, object] | None = None) -> Ran:
        """Run one step to its end."""
        self.begin(step, limit_s=limit_s, event=event)
        return self.result()

    def hang_up(self) -> None:
        """End the line, as sshd does when a connection is gone."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()


class Heard:
    """Everything that comes out of a pipe, read as it comes."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe
        self.data, self.pipe = bytearray(), pipe
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def _follow(self) -> None:
        while chunk := os.read(self.pipe.fileno(), 1 << 16):
            self.data.extend(chunk)


def manifest(directory: Path) -> Manifest:
    """The manifest of a tree."""
    return Manifest.of(_entry(directory, path) for path in directory.rglob("*"))


def named(found: Manifest) -> Release:
    """The release that has this manifest."""
    return Release(f"{A.name[:-8]}{found.digest[:8]}")


def arrived(directory: Path) -> tuple[Release, Path, str]:
    """Make of a directory a release that has just arrived: its name, where it lies, and the digest of its manifest."""
    found = manifest(directory)
    release = named(found)
    directory = directory.rename(directory.parent / release.name)
    (directory / ".manifest.gz").write_bytes(gzip.compress(found.text))
    return release, directory, found.digest


def _entry(directory: Path, path: Path) -> Entry:
    mode = path.lstat().st_mode
    name = os.fsdecode(os.fsencode(path.relative_to(directory)))
    if stat.S_ISLNK(mode):
        target = os.fsencode(os.readlink(path))
        return Entry(name, LINK | 0o777, hashlib.sha256(target).hexdigest(), len(target))
    if stat.S_ISDIR(mode):
        return Entry(name, FOLDER | 0o755, "-", 0)
    data = path.read_bytes()
    return Entry(name, FILE | stat.S_IMODE(mode), hashlib.sha256(data).hexdigest(), len(data))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
