"""What goes wrong during a walk: to a client, to the line, on a host or its disk; some of it for a while only."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.client import Client
from tests.chaos.host import Host

Undo = Callable[[], None]


@dataclass(frozen=True)
class Fault:
    """*kind* happens to the host called *host* and to client number *client*, once that has told the share *at* of what
    it usually tells, *late_s* seconds later, for *lasts_s* seconds where it passes; *pick* chooses one of several.
    """

    kind: str
    host: str
    client: int
    at: float
    late_s: float
    lasts_s: float
    pick: float

    @classmethod
    def drawn(cls, chance: random.Random, hosts: tuple[str, ...], clients: int) -> "Fault":
        """Any fault at any moment; one in forty lasts until everybody has lost patience."""
        long = chance.random() < 1 / 40
        return cls(
            kind=chance.choice(DRAWN),
            host=chance.choice(hosts),
            client=chance.randrange(clients),
            at=chance.random(),
            late_s=chance.random() ** 3 * 0.5,
            lasts_s=70.0 if long else chance.random() ** 2 * 4,
            pick=chance.random(),
        )

    def __str__(self) -> str:
        return f"{self.kind} ({self.host}, client {self.client}, at {self.at:.2f}, {self.lasts_s:.1f} s)"


@dataclass
class Happening:
    """A *fault* that waits for its moment, happens, and passes."""

    fault: Fault
    host: Host
    client: Client
    usual: int
    due: float = 0.0
    told: str = ""
    undo: Undo | None = None
    over: bool = False
    _after: float = field(default=0.0)

    def look(self) -> None:
        """Begin or end it, if it is time."""
        now = time.monotonic()
        if self.over:
            return
        if self.undo:
            if now >= self._after:
                self.end()
        elif self.due:
            if now >= self.due:
                self._begin(now)
        elif self.client.told >= self.fault.at * self.usual:
            self.due = now + self.fault.late_s

    def end(self) -> None:
        """What passes is over; what has not begun never will."""
        self.over = True
        if self.undo:
            self.undo()

    def _begin(self, now: float) -> None:
        self.undo = KINDS[self.fault.kind](self.host, self.client, self.fault.pick)
        self.told = f"{self.fault.kind} {self.host.name} after {self.client.told} of {self.usual} events"
        self.host.suffered.append(self.fault.kind)
        self._after = now + self.fault.lasts_s
        self.over = self.undo is None


def _signals(first: int, then: int = 0) -> Callable[[Host, Client, float], Undo | None]:
    def begin(host: Host, client: Client, pick: float) -> Undo | None:
        client.signal(first)
        client.ended_by.append(signal.Signals(first).name)
        return (lambda: client.signal(then)) if then else None

    return begin


def _cut(host: Host, client: Client, pick: float) -> None:
    host.line.cut()


def _silent(host: Host, client: Client, pick: float) -> Undo:
    host.line.swallow()
    return host.line.pass_


def _process(host: Host, client: Client, pick: float) -> None:
    """One of those that sessions run there, whichever it is: a step, a tool, a dead man's switch."""
    left = sorted(host.left)
    if left:
        host.kill(left[int(pick * len(left))])


def _shell(host: Host, client: Client, pick: float) -> None:
    """The one that holds the lock."""
    with suppress(OSError, IndexError, ValueError):
        pid = int((host.private / "lock.info").read_text().rpartition('"pid":')[2].rstrip("}\n"))
        if pid in host.left:
            host.kill(pid)


def _daemon(host: Host, client: Client, pick: float) -> None:
    host.end()


def _full(host: Host, client: Client, pick: float) -> Undo | None:
    """Every byte is taken, or all but a few."""
    if not host.mounted:
        return None
    rest = host.root / "full"
    with suppress(OSError), rest.open("wb") as file:
        while True:
            file.write(b"-" * 4096)
            file.flush()
    if pick < 0.5:
        with suppress(OSError):
            os.truncate(rest, max(0, rest.stat().st_size - int(pick * 16) * 4096))
    return lambda: rest.unlink(missing_ok=True)


def _inodes(host: Host, client: Client, pick: float) -> Undo | None:
    if not host.mounted:
        return None
    crowd = host.root / "crowd"
    with suppress(OSError):
        crowd.mkdir()
        for number in range(1 << 20):
            (crowd / str(number)).touch()
    return lambda: _emptied(crowd)


def _emptied(crowd: Path) -> None:
    with suppress(FileNotFoundError):
        for path in crowd.iterdir():
            path.unlink()
        crowd.rmdir()


def _stall(host: Host, client: Client, pick: float) -> Undo:
    """Everything arrives late, and nothing is lost: as when packets are, and TCP sends them again."""
    host.line.delay_s = 0.5 + pick * 4

    def end() -> None:
        host.line.delay_s = 0.0

    return end


KINDS: dict[str, Callable[[Host, Client, float], Undo | None]] = {
    "kill": _signals(signal.SIGKILL),
    "interrupt": _signals(signal.SIGINT),
    "interrupt twice": _signals(signal.SIGINT, signal.SIGINT),
    "terminate": _signals(signal.SIGTERM),
    "terminate twice": _signals(signal.SIGTERM, signal.SIGTERM),
    "suspend": _signals(signal.SIGSTOP, signal.SIGCONT),
    "cut": _cut,
    "stall": _stall,
    "silence": _silent,
    "process": _process,
    "shell": _shell,
    "daemon": _daemon,
    "full": _full,
    "inodes": _inodes,
}
SLOW = ("silence", "daemon")  # clients wait long before they give up
DRAWN = (*KINDS, *(kind for kind in KINDS if kind not in SLOW), *(kind for kind in KINDS if kind not in SLOW))
