"""The locks of the hosts of one command: all are taken or none, and what a dead deploy left is settled."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from fabric import Connection

from . import steps
from .balancers.hosts import homeless
from .errors import LockHeld, OutcomeUnknown, Refused, ReleaseError, Unreachable
from .history import prefix
from .layout import Layout
from .session import Session
from .sessions import Sessions, rendered
from .together import twice


@dataclass(frozen=True, slots=True)
class Locking:
    """Opens sessions of a *fleet* over connections, each with its lock or without one."""

    fleet: Sessions

    def take(self, connections: Mapping[str, Connection], *, locked: bool, wait_s: float) -> None:
        """All at once; where one is taken, those behind it are let go and taken in order, so that of many who try one
        goes on. *wait_s* is for all of them together.
        """
        end = time.monotonic() + wait_s
        names = sorted(connections, key=lambda name: self.fleet.places[name].place)
        if len(names) > 1:
            tried = self.fleet.each(names, lambda name: self._take(name, connections[name], locked=locked, wait_s=0.0))
            if not (taken := [name for name in names if isinstance(tried[name], ReleaseError)]):
                return
            if not all(isinstance(tried[name], LockHeld) for name in taken):
                raise next(
                    e for name in taken if isinstance(e := tried[name], ReleaseError) and not isinstance(e, LockHeld)
                )
            names = names[names.index(taken[0]) :]
            self.fleet.each(names, self._let_go)
        for name in names:
            self._take(name, connections[name], locked=locked, wait_s=max(0.0, end - time.monotonic()))

    def rejoin(self, name: str, *, within_s: float) -> None:
        """A new session with a place whose line dropped; it settles what was left. Raises as `open` does."""
        end, pause = time.monotonic() + within_s, 0.5
        if broken := self.fleet.sessions.pop(name, None):
            broken.close()
        while True:
            try:
                self.dial(name, locked=True, wait_s=max(0.0, end - time.monotonic()))
                return
            except (Unreachable, OutcomeUnknown):
                if time.monotonic() + pause > end:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, 5.0)

    def dial(self, name: str, *, locked: bool, wait_s: float) -> None:
        """A session over a connection of its own, which is closed where there is none."""
        connection = self.fleet.dialing.open(self.fleet.places[name].destination)
        try:
            self._take(name, connection, locked=locked, wait_s=wait_s)
        finally:
            if not self.fleet.reaches(name):
                connection.close()

    def _let_go(self, name: str) -> None:
        """End the session, and keep the connection."""
        if session := self.fleet.sessions.pop(name, None):
            session.end()

    def _take(self, name: str, connection: Connection, *, locked: bool, wait_s: float) -> None:
        end, told = time.monotonic() + wait_s, set[str]()

        def waits(busy: LockHeld) -> None:
            self._check_not_ours(name, busy)
            if busy.holder not in told:
                self.fleet.report.say(f"waiting: locked by {busy.holder}", name)
            told.add(busy.holder)

        while True:
            try:
                self._open(name, connection, waits, locked=locked, wait_s=max(0.0, end - time.monotonic()))
                return
            except LockHeld as busy:
                self._check_not_ours(name, busy)
                if time.monotonic() >= end:
                    raise

    def _open(
        self, name: str, connection: Connection, waits: Callable[[LockHeld], None], *, locked: bool, wait_s: float
    ) -> None:
        """One session; with the lock what a dead deploy left is settled, and told."""
        config = self.fleet.places[name].config
        settle = steps.settle(Layout(config.root), prefix(self._holder(name)))
        asked = [settle] if locked else []
        if len(self.fleet.places) == 1 and name in self.fleet.targets:  # else its answer may be old when it is read
            asked.append(self.fleet.surveying(name))
        try:
            self.fleet.sessions[name] = Session(
                connection,
                name,
                lock=str(Layout(config.root).private / "lock") if locked else "",
                hear=lambda line: self.fleet.report.say(line, name),
                first=[(rendered(step, 0), step.timeout_s) for step in asked],
                limits=config.connection,
                wait_s=wait_s,
                waits=waits,
            )
        except Refused as error:
            if name in self.fleet.targets:
                raise
            raise homeless(self.fleet.places[name], error) from None
        for line in self.fleet.run(name, settle).all("reverted") if locked else ():
            self._tell_settled(name, *line.split()[:2])

    def _holder(self, name: str) -> Mapping[str, str]:
        """What others read who find our lock."""
        mark = f"{self.fleet.mark} {name}"
        found = {"who": self.fleet.author.who, "place": self.fleet.author.place, "since": _now(), "mark": mark}
        return found | ({"ci": self.fleet.author.ci} if self.fleet.author.ci else {})

    def _check_not_ours(self, name: str, busy: LockHeld) -> None:
        mine, _, other = busy.mark.partition(" ")
        if mine == self.fleet.mark and other != name:  # else a session of ours whose line is gone still has it
            raise twice(other, name)

    def _tell_settled(self, name: str, arm: str, code: str) -> None:
        if name in self.fleet.targets:
            self.fleet.report.say(f"deploy {arm} had died before it was confirmed: it was taken back", name)
        else:
            server, _, arm = arm.rpartition(".")
            failed = f"could not be brought back, by exit {code}; the next command tries again"
            now = "is back" if code == "0" else failed
            self.fleet.report.say(f"deploy {arm} had died, and left {server} out of rotation: it {now}", name)
        self.fleet.report.event("settled", name, deploy=arm)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
