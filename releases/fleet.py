"""The hosts of one command: connected, locked, surveyed; plans are carried over them by `carry`."""

import base64
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from fabric import Connection

from . import steps
from .answer import Answer
from .config import Target
from .connection import connect
from .errors import LockHeld, OutcomeUnknown, ReleaseError, Unreachable
from .facts import Facts
from .history import prefix
from .layout import Layout, Release
from .manifest import Manifest, ManifestError
from .plan import Step
from .processes.kinds import kinds
from .report import Report
from .scripts import render
from .session import Session
from .surveyed import Surveyed
from .switching import Author
from .together import check_apart, twice
from .units import Account, digests

AT_ONCE = 32
T = TypeVar("T")


class Fleet:
    """Sessions with *targets*; a context manager that closes them all, which frees their locks."""

    def __init__(self, targets: tuple[Target, ...], report: Report, author: Author) -> None:
        self.targets = {target.name: target for target in targets}
        self.report, self.author = report, author
        self.mark = os.urandom(8).hex()  # tells our own locks from those of others
        self.sessions: dict[str, Session] = {}
        self.hosts: tuple[Surveyed, ...] = ()

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End every session."""
        sessions, self.sessions = self.sessions, {}
        self._at_once(sessions, lambda name: sessions[name].close())

    def open(self, *, locked: bool, wait_s: float = 0.0) -> tuple[Surveyed, ...]:
        """Connect to all hosts at once, lock them in sorted order or none, settle what was left, and survey them.

        Raises `LockHeld` when one is busy for longer than *wait_s*, `Unreachable`, `HostKeyRefused` or `Refused`;
        then no session is left open.
        """
        connections: dict[str, Connection] = {}
        try:
            self._at_once(self.targets, lambda name: connections.update({name: connect(self.targets[name])}))
            for name in sorted(connections):
                self._lock(name, connections[name], locked=locked, wait_s=wait_s)
            found = tuple(self._at_once(self.targets, self.survey).values())
            check_apart(found)
            self.hosts = tuple(host.knowing(found) for host in found)
        except BaseException:
            self.close()
            for connection in connections.values():
                connection.close()
            raise
        return self.hosts

    def reopen(self, name: str, *, within_s: float) -> Surveyed:
        """A new session with a host whose line dropped; it settles what was left. Raises as `open` does."""
        end, pause = time.monotonic() + within_s, 0.5
        if broken := self.sessions.pop(name, None):
            broken.close()
        while True:
            try:
                self._lock(name, connect(self.targets[name]), locked=True, wait_s=max(0.0, end - time.monotonic()))
                return self.survey(name)
            except (Unreachable, OutcomeUnknown):
                if time.monotonic() + pause > end:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, 5.0)

    def run(self, name: str, step: Step, *, number: int = 0, out: Callable[[str], None] | None = None) -> Answer:
        """Run one step on one host; with *number* its beginning and end are journaled.

        With *out* each line that it prints is handed there as it comes.
        """
        event = {"event": "step", "deploy": number, "step": step.label} if number else None
        if not (session := self.sessions.get(name)):
            raise ReleaseError(f"{name}: there is no session any more for {step.label}")
        return session.run(step.label, render(step, event=event), timeout_s=step.timeout_s, out=out)

    def each(self, names: Iterable[str], do: Callable[[str], T]) -> Mapping[str, T | ReleaseError]:
        """Do it on all hosts at once; a host's error stands in place of its result."""

        def guarded(name: str) -> T | ReleaseError:
            try:
                return do(name)
            except ReleaseError as error:
                return error

        names = tuple(names)
        if len(names) == 1:
            return {names[0]: guarded(names[0])}
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            return dict(zip(names, pool.map(guarded, names), strict=True))

    def manifest(self, host: Surveyed, release: Release) -> Manifest | None:
        """The manifest of a complete release: from our cache, else from the host; None when it cannot be read."""
        cached = _cache() / f"{release.name}.gz"
        try:
            packed = cached.read_bytes()
        except OSError:
            step = Step("manifest", {"root": host.config.root, "release": release}, "")
            packed = base64.b64decode(self.run(host.name, step).one("manifest"))
            remember(release, packed)
        try:
            manifest = Manifest.unpacked(packed)
        except ManifestError:
            return None
        return manifest if manifest.digest.startswith(release.short_digest) else None

    def _lock(self, name: str, connection: Connection, *, locked: bool, wait_s: float) -> None:
        layout, end, told = Layout(self.targets[name].config.root), time.monotonic() + wait_s, ""
        lock = str(layout.private / "lock") if locked else ""
        while True:
            try:
                self.sessions[name] = Session(
                    connection, name, lock=lock, hear=lambda line: self.report.say(line, name)
                )
                break
            except LockHeld as busy:
                mine, _, other = busy.mark.partition(" ")
                if mine == self.mark:
                    raise twice(other, name) from None
                if time.monotonic() >= end:
                    raise
                if busy.holder != told:
                    self.report.say(f"waiting: locked by {busy.holder}", name)
                    told = busy.holder
        if locked:
            holder = {
                "who": self.author.who,
                "place": self.author.place,
                "since": _now(),
                "mark": f"{self.mark} {name}",
            }
            holder |= {"ci": self.author.ci} if self.author.ci else {}
            answer = self.run(name, steps.settle(layout, prefix(holder)))
            for line in answer.all("reverted"):
                self.report.say(f"deploy {line.split()[0]} had died before it was confirmed: it was taken back", name)
                self.report.event("settled", name, deploy=line.split()[0])

    def survey(self, name: str) -> Surveyed:
        """Ask one host, over its open session, for all that `Facts` knows."""
        target = self.targets[name]
        answer = self.run(name, steps.survey(target.config, kinds(target.config)))
        found = kinds(target.config, digests(target.config, Account.of(answer)))
        facts = Facts.of(name, answer, now=datetime.now(UTC))
        return Surveyed(name, target.address, target.config, found, facts, group=target.group)

    def _at_once(self, names: Iterable[str], do: Callable[[str], T]) -> dict[str, T]:
        results = self.each(names, do)
        for result in results.values():
            if isinstance(result, ReleaseError):
                raise result
        return {name: result for name, result in results.items() if not isinstance(result, ReleaseError)}


def remember(release: Release, packed: bytes) -> None:
    """Keep a manifest for the next deploy; what cannot be kept is asked for again."""
    try:
        _cache().mkdir(parents=True, exist_ok=True)
        fresh = _cache() / f".{release.name}.{os.getpid()}"
        fresh.write_bytes(packed)
        fresh.replace(_cache() / f"{release.name}.gz")
        for old in sorted(_cache().glob("*.gz"), key=lambda path: path.stat().st_mtime)[:-200]:
            old.unlink(missing_ok=True)
    except OSError:
        return


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "switchover" / "manifests"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
