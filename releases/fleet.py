"""The hosts of one command: connected, locked, surveyed; plans are carried over them by `carry`."""

import base64
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from fabric import Connection

from . import steps
from .answer import Answer
from .balancers.hosts import balancers, homeless
from .cache import remember, remembered
from .config import Target
from .dialing import AT_ONCE, Dialing
from .errors import LockHeld, OutcomeUnknown, Refused, ReleaseError, Unreachable
from .facts import Facts
from .history import prefix
from .layout import Layout, Release
from .local import run
from .manifest import Manifest, ManifestError
from .plan import HERE, Step
from .processes.kinds import kinds
from .report import Report
from .scripts import make_ready, render
from .session import Session
from .surveyed import Surveyed
from .switching import Author
from .together import check_apart, twice, unreachable
from .units import Account, digests

T = TypeVar("T")


class Fleet:
    """Sessions with *targets*; a context manager that closes them all, which frees their locks."""

    def __init__(
        self, targets: tuple[Target, ...], report: Report, author: Author, dialing: Dialing | None = None
    ) -> None:
        self.targets = {target.name: target for target in targets}
        self.places = self.targets  # with the hosts of balancers, where a command tells those
        self._turns: dict[str, threading.Lock] = {}
        self._ended = threading.Event()  # what runs here
        self.report, self.author, self.dialing = report, author, dialing or Dialing()
        self.mark = os.urandom(8).hex()  # tells our own locks from those of others
        self.sessions: dict[str, Session] = {}
        self.hosts: tuple[Surveyed, ...] = ()
        self.unreached: Mapping[str, ReleaseError] = {}

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End every session, and what runs here for a host."""
        self.dialing.close()
        ended, self._ended = self._ended, threading.Event()
        ended.set()
        sessions, self.sessions = self.sessions, {}
        self._at_once(sessions, lambda name: sessions[name].close())

    def open(
        self, *, locked: bool, wait_s: float = 0.0, balanced: bool = False, partly: bool = False
    ) -> tuple[Surveyed, ...]:
        """Connect to all hosts at once, lock them in one order or none, settle what was left, and survey them.

        *balanced*: and to the hosts of their balancers, which are asked how they are. *partly*: who cannot be reached
        is left out, and `unreached`, while anybody can.

        Raises `LockHeld` when one is busy for longer than *wait_s*, `Unreachable`, `HostKeyRefused` or `Refused`; then
        no session is left open.
        """
        self.places = {**self.targets, **(balancers(self.targets) if balanced else {})}
        connections: dict[str, Connection] = {}
        try:
            threading.Thread(target=make_ready, name="templates", daemon=True).start()
            self._connect(connections, partly=partly)
            self._lock_all(connections, locked=locked, wait_s=wait_s)
            found = tuple(self._at_once(self.targets, self.survey).values())
            check_apart(found)
            for host in found if locked else ():
                if problem := host.app_problem():
                    raise problem
            found = tuple(self._at_once(self.targets, lambda n: self._asked(n, found)).values()) if balanced else found
            self.hosts = tuple(host.knowing(found) for host in found)
            for host in self.hosts if locked and balanced else ():
                self._bring_back(host)
        except BaseException as error:
            self.close()
            for connection in connections.values():
                connection.close()
            if isinstance(error, OutcomeUnknown):
                raise Unreachable(f"{error.known}: nothing was begun") from error
            raise
        return self.hosts

    def _connect(self, connections: dict[str, Connection], *, partly: bool) -> None:
        """Call all places at once; who cannot be reached is told together, or left out."""
        calls = self.each(self.places, lambda name: connections.update({name: self.dialing.take(self.places[name])}))
        errors = {name: error for name, error in calls.items() if error}
        for error in errors.values():
            if not isinstance(error, Unreachable):
                raise error
        if errors and not (partly and connections):
            raise unreachable(errors, self.targets)
        self.unreached = errors
        self.targets = {name: target for name, target in self.targets.items() if name not in errors}
        self.places = {name: target for name, target in self.places.items() if name not in errors}

    def look(self, places: Mapping[str, Target]) -> Mapping[str, Answer | ReleaseError]:
        """Sessions with *places*, too, without their locks: who holds each, and what is armed there, or why not."""
        self.places = {**self.places, **places}
        return self.each(places, self._looked)

    def _looked(self, name: str) -> Answer:
        self._dial(name, locked=False, wait_s=0.0)
        return self.run(name, Step("lock", {"root": self.places[name].config.root}, ""))

    def reopen(self, name: str, *, within_s: float) -> Surveyed:
        """A new session with a host whose line dropped, and what is true there. Raises as `open` does."""
        self.rejoin(name, within_s=within_s)
        return self.survey(name)

    def peek(self, name: str) -> Surveyed:
        """What is true on a host whose lock somebody else has; no session stays. Raises as `open` does."""
        self._dial(name, locked=False, wait_s=0.0)
        try:
            return self.survey(name)
        finally:
            self.sessions.pop(name).close()

    def reaches(self, name: str) -> bool:
        """Is there a session with it, whose line is not known to be gone?"""
        session = self.sessions.get(name)
        return bool(session and not session.lost)

    def session(self, name: str, what: str) -> Session:
        """The session with it; `Unreachable` where there is none any more, as after Ctrl-C: *what* was not begun."""
        if session := self.sessions.get(name):
            return session
        raise Unreachable(f"{name}: there is no session any more for {what}")

    def rejoin(self, name: str, *, within_s: float) -> None:
        """A new session with a place whose line dropped; it settles what was left. Raises as `open` does."""
        end, pause = time.monotonic() + within_s, 0.5
        if broken := self.sessions.pop(name, None):
            broken.close()
        while True:
            try:
                self._dial(name, locked=True, wait_s=max(0.0, end - time.monotonic()))
                return
            except (Unreachable, OutcomeUnknown):
                if time.monotonic() + pause > end:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, 5.0)

    def _dial(self, name: str, *, locked: bool, wait_s: float) -> None:
        """A session over a connection of its own, which is closed where there is none."""
        connection = self.dialing.open(self.places[name])
        try:
            self._lock(name, connection, locked=locked, wait_s=wait_s)
        finally:
            if not self.reaches(name):
                connection.close()

    def run(self, name: str, step: Step, *, number: int = 0, out: Callable[[str], None] | None = None) -> Answer:
        """Run one step on one host; with *number* its beginning and end are journaled.

        With *out* each line that it prints is handed there as it comes. What goes *via* another place waits for its
        turn there, since hosts are carried at once.
        """
        if step.via == HERE:
            return self._run_here(name, step)
        where, script = step.via or name, _script(step, number)
        session = self.session(where, step.label)
        with self._turns.setdefault(where, threading.Lock()):
            return session.run(step.label, script, timeout_s=step.timeout_s, out=out, finds=step.finds)

    def ahead(self, name: str, numbered: Iterable[tuple[Step, int]]) -> None:
        """Send steps of one host, each with the number that `run` will be given, which then are one round trip."""
        scripts = [(_script(step, number), step.timeout_s) for step, number in numbered]
        if session := self.sessions.get(name):
            with self._turns.setdefault(name, threading.Lock()):
                session.ahead(scripts)

    def expect(self, name: str) -> None:
        """Let one host be ready for a stream."""
        if session := self.sessions.get(name):
            session.expect()

    def _run_here(self, name: str, step: Step) -> Answer:
        """Run a step of the controller's own; what brings a host back waits for what takes it out to have ended."""
        command, environment = str(step.values["command"]), step.values["environment"]
        assert isinstance(environment, Mapping)
        ended, say = self._ended, lambda line: self.report.say(line, "local")
        with self._turns.setdefault(f"{HERE} {name}", threading.Lock()):
            what = f"{name}: {step.label}"
            run(what, command, environment=environment, timeout_s=step.timeout_s, say=say, ended=ended)
        return Answer()

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
        """The manifest of a complete release: as we remember it, else from the host; None when it cannot be read."""
        if found := _whole(remembered(release) or b"", release):
            return found
        step = Step("manifest", {"root": host.config.root, "release": release}, "")
        packed = base64.b64decode(self.run(host.name, step).one("manifest"))
        if found := _whole(packed, release):
            remember(release, packed)
        return found

    def _lock_all(self, connections: Mapping[str, Connection], *, locked: bool, wait_s: float) -> None:
        """All at once; where one is taken, those behind it are let go and taken in order, so that of many who try one
        goes on.
        """
        names = sorted(connections, key=lambda name: self.places[name].place)
        if len(names) > 1:
            tried = self.each(names, lambda name: self._lock(name, connections[name], locked=locked, wait_s=0.0))
            if not (taken := [name for name in names if isinstance(tried[name], ReleaseError)]):
                return
            if not all(isinstance(tried[name], LockHeld) for name in taken):
                raise next(
                    e for name in taken if isinstance(e := tried[name], ReleaseError) and not isinstance(e, LockHeld)
                )
            names = names[names.index(taken[0]) :]
            self.each(names, self._let_go)
        for name in names:
            self._lock(name, connections[name], locked=locked, wait_s=wait_s)

    def _let_go(self, name: str) -> None:
        """End the session, and keep the connection."""
        if session := self.sessions.pop(name, None):
            session.end()

    def _lock(self, name: str, connection: Connection, *, locked: bool, wait_s: float) -> None:
        layout, end, told = Layout(self.places[name].config.root), time.monotonic() + wait_s, set[str]()

        def waits(busy: LockHeld) -> None:
            self._check_not_ours(name, busy)
            if busy.holder not in told:
                self.report.say(f"waiting: locked by {busy.holder}", name)
            told.add(busy.holder)

        lock = str(layout.private / "lock") if locked else ""
        settle = steps.settle(layout, prefix(self._holder(name)))
        asked = [settle] if locked else []
        if len(self.places) == 1 and name in self.targets:  # else its answer may be old when it is read
            asked.append(self._surveying(name))
        while True:
            try:
                self.sessions[name] = Session(
                    connection,
                    name,
                    lock=lock,
                    hear=lambda line: self.report.say(line, name),
                    first=[(_script(step, 0), step.timeout_s) for step in asked],
                    limits=self.places[name].config.connection,
                    wait_s=max(0.0, end - time.monotonic()),
                    waits=waits,
                )
                break
            except Refused as error:
                if name in self.targets:
                    raise
                raise homeless(self.places[name], error) from None
            except LockHeld as busy:
                self._check_not_ours(name, busy)
                if time.monotonic() >= end:
                    raise
        if locked:
            for line in self.run(name, settle).all("reverted"):
                self._tell_settled(name, *line.split()[:2])

    def _holder(self, name: str) -> Mapping[str, str]:
        """What others read who find our lock."""
        mark = f"{self.mark} {name}"
        found = {"who": self.author.who, "place": self.author.place, "since": _now(), "mark": mark}
        return found | ({"ci": self.author.ci} if self.author.ci else {})

    def _surveying(self, name: str) -> Step:
        config = self.targets[name].config
        return steps.survey(config, kinds(config))

    def _check_not_ours(self, name: str, busy: LockHeld) -> None:
        mine, _, other = busy.mark.partition(" ")
        if mine == self.mark and other != name:  # else a session of ours whose line is gone still has it
            raise twice(other, name)

    def _tell_settled(self, name: str, arm: str, code: str) -> None:
        if name in self.targets:
            self.report.say(f"deploy {arm} had died before it was confirmed: it was taken back", name)
        else:
            server, _, arm = arm.rpartition(".")
            failed = f"could not be brought back, by exit {code}; the next command tries again"
            now = "is back" if code == "0" else failed
            self.report.say(f"deploy {arm} had died, and left {server} out of rotation: it {now}", name)
        self.report.event("settled", name, deploy=arm)

    def _asked(self, name: str, found: tuple[Surveyed, ...]) -> Surveyed:
        """The host with what its balancer says of itself."""
        host = next(host for host in found if host.name == name)
        step = host.balancer.check() if host.balancer and not host.root_problem() else None
        return replace(host, rotation=self.run(name, step)) if step else host

    def _bring_back(self, host: Surveyed) -> None:
        """Who was left out of rotation by a deploy that has died, and can only be brought back from here."""
        if not host.facts.drained:
            return
        what = "it is brought back" if host.comes_back else host.way_back
        self.report.say(f"deploy {host.facts.drained} had died, and left it out of rotation: {what}", host.name)
        if not host.balancer or not host.comes_back:
            return
        for step in host.balancer.undrain(int(host.facts.drained) if host.facts.drained.isdigit() else 0):
            self.run(host.name, step)
        self.report.event("undrained", host.name, deploy=host.facts.drained)

    def survey(self, name: str) -> Surveyed:
        """Ask one host, over its open session, for all that `Facts` knows."""
        target = self.targets[name]
        answer = self.run(name, self._surveying(name))
        found = kinds(target.config, digests(target.config, Account.of(answer)))
        facts = Facts.of(name, answer, now=datetime.now(UTC))
        return Surveyed(name, target.address, target.config, found, facts, group=target.group, order=target.order)

    def _at_once(self, names: Iterable[str], do: Callable[[str], T]) -> dict[str, T]:
        results = self.each(names, do)
        for result in results.values():
            if isinstance(result, ReleaseError):
                raise result
        return {name: result for name, result in results.items() if not isinstance(result, ReleaseError)}


def _whole(packed: bytes, release: Release) -> Manifest | None:
    """The manifest of *release*, if it is that."""
    try:
        manifest = Manifest.unpacked(packed)
    except ManifestError:
        return None
    return manifest if manifest.digest.startswith(release.short_digest) else None


def _script(step: Step, number: int) -> str:
    """Its script; with *number* it journals its beginning and end."""
    return render(step, event={"event": "step", "deploy": number, "step": step.label} if number else None)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
