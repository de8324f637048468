"""The host of the ring: its tools wait when they are told to, its line fails when it is told to."""

import fcntl
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.app import until
from tests.faults.client import Client
from tests.faults.site import Site, copied, renamed
from tests.faults.verbs import AGAIN, VERBS, Verb
from tests.gate import Gate
from tests.line import Line
from tests.sshd import Sshd

TELLS_S = 30  # so long a client may take to tell of what the host does already


@dataclass
class Stage:
    """One host; *plain* reaches it without a gate and a line, *kept* is shared with other workers."""

    sshd: Sshd
    plain: Sshd
    gate: Gate
    line: Line
    kept: Path
    known: dict[str, Mapping[str, int]] = field(default_factory=dict)
    clients: list[Client] = field(default_factory=list)
    early: int = 0  # the pid of a step that came before the stream that it was sent behind

    @contextmanager
    def site(self, home: Path, verb: Verb) -> Iterator[Site]:
        """The site as *verb* finds it, on a root of its own below *home*: v3 live, v4 to be deployed over the line."""
        self.gate.reset()
        self.line.pass_()
        copied(self.tree(verb.before), home / "srv")
        if "prod,ahead" in verb.words:
            copied(self.tree("ahead"), home / "ahead")
        site = Site.at(home, self.sshd, self.line.address)
        site.others, site.lead = tuple(self._beside(home / name, verb) for name in verb.beside), verb.follows
        self.over_the_line(site, verb)
        site.write("v4")
        try:
            with ExitStack() as running:
                for each in site.each:
                    running.enter_context(each.running())
                yield site
        finally:
            for client in self.clients:
                if not client.ended:
                    client.kill()
            self.clients.clear()
            self.line.cut()
            self.gate.reset()
            # Where a row has failed, the next is not to blame for what it has left.
            for pid in (*self.sshd.processes(), *self.plain.processes()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _beside(self, home: Path, verb: Verb) -> Site:
        """The same site on another host of the deploy, which nothing befalls."""
        copied(self.tree(verb.before), home / "srv")
        return Site.at(home, self.sshd, self.plain.address)

    def over_the_line(self, site: Site, verb: Verb, more: str = "") -> None:
        """Write the deploy.toml of *verb*: this host behind its line, and one to join that is ahead."""
        site.address = self.line.address
        if "prod,ahead" in verb.words:
            more += f'[hosts.ahead]\nssh = ["{self.plain.address}"]\nroot = "{site.root.parent / "ahead"}"\n'
        site.configure(verb.more + more, settle_s=0.05)

    def client(self, site: Site, *words: str) -> Client:
        """Start a command, whose steps wait to be let in."""
        self.early = 0
        self.gate.reset()
        self.gate.close()
        self.clients.append(Client(site.start(*words, "--json"), site.address.partition("@")[2]))
        return self.clients[-1]

    def reach(self, client: Client, verb: Verb, step: str) -> int:
        """Let all steps pass up to *step*, which waits; returns its pid."""
        opening = iter(verb.opening)
        while True:
            name, pid = self._next(client, verb, opening)
            assert pid, f"{step} never came: {client.end()} {client.events}"
            if name == step:
                return pid
            self.gate.let(pid)

    def _next(self, client: Client, verb: Verb, opening: Iterator[str], *, limit_s: float = 30) -> tuple[str, int]:
        """The step that has arrived, and its pid; what was sent behind a stream comes after it, be it faster."""
        if self.early:
            pid, self.early = self.early, 0
            return told(client, verb, opening), pid
        kind, pid = self.gate.arrived(limit_s=limit_s)
        if kind == "step" and client.step == "send" and client.let != "send":
            self.early = pid
            kind, pid = self.gate.arrived()
        return (told(client, verb, opening) if kind else ""), pid

    def block(self, client: Client, verb: Verb, step: str, call: int | str) -> int:
        """Let *step* begin, and block it at a call of a tool, by number or name; returns the pid of that.

        That of the step itself where it ends without so many calls: what it waits for took it fewer turns this time.
        """
        at = self.reach(client, verb, step)
        self.gate.count(call)
        self.gate.admit()
        while (found := self.gate.arrived(limit_s=0.2))[0] != "call":  # a step may have come that was sent behind it
            if not alive(at):
                self.gate.open()
                return at
        return found[1]

    def drain(self, pid: int) -> None:
        """Let what is blocked go on if it does not end with its session: it unpacks a stream, or waits for the lock."""
        end = time.monotonic() + 1.5
        while alive(pid):
            if time.monotonic() > end:
                self.gate.admit()
                return
            time.sleep(0.02)

    def left(self, site: Site) -> list[str]:
        """The processes that sessions left, but for those of the site."""
        found, known = [], {each.daemon for each in site.each}
        for pid in (*self.sshd.processes(), *self.plain.processes()):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
            except OSError:
                continue
            if pid not in known and command:
                found.append(f"{pid} {command}")
        return found

    def calls(self, verb: Verb) -> Mapping[str, int]:
        """How many tools each step of *verb* calls, in the order of the steps: learned once, from a whole run."""
        if verb.name not in self.known:
            self.known[verb.name] = json.loads(
                self._once(f"{verb.name}.calls", lambda to: self._learn(verb, to)).read_text()
            )
        return self.known[verb.name]

    def tree(self, name: str) -> Path:
        """A root as it was made once: three releases ``proven``, a fourth live ``ahead``, or ``armed`` by who died."""
        return self._once(name, _TREES[name].__get__(self))

    def _once(self, name: str, make: Callable[[Path], None]) -> Path:
        """What *make* leaves at a path, made by the first worker that asks."""
        path = self.kept / name
        with (self.kept / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                making = self.kept / f".{name}"
                make(making)
                making.rename(path)
        return path

    def _proven(self, to: Path) -> None:
        home = to.with_suffix(".home")
        site = Site.at(home, self.plain, self.plain.address)
        for version in ("v1", "v2", "v3"):
            site.deploy(version)
        site.end()
        (home / "srv").rename(to)

    def _ahead(self, to: Path) -> None:
        home = to.with_suffix(".home")
        copied(self.tree("proven"), home / "srv")
        site = Site.at(home, self.plain, self.plain.address)
        site.deploy("v4")
        site.end()
        (home / "srv").rename(to)

    def _armed(self, to: Path) -> None:
        with self.site(to.with_suffix(".home"), VERBS[0]) as site:
            client = self.client(site, *VERBS[0].words)
            self.reach(client, VERBS[0], "settled")
            os.kill(int((site.root / ".switchover" / "armed" / "4" / "pid").read_text()), signal.SIGKILL)
            client.kill()
            self.gate.open()
            until(lambda: not site.locked and not self.left(site), what="the end of its session")
            copied(site.root, to)
        renamed(to, to, self.kept / "armed")

    def _learn(self, verb: Verb, to: Path) -> None:
        with self.site(to.with_suffix(".home"), verb) as site:
            found, opening, last = dict[str, int](), iter(verb.opening), ""
            client = self.client(site, *verb.words)
            while not client.ended:
                name, pid = self._next(client, verb, opening, limit_s=0.2)
                if pid:
                    found.update({last: len(self.gate.calls)} if last else {})
                    last = name
                    self.gate.count()
                    self.gate.let(pid)
            found[last] = len(self.gate.calls)
            assert client.end().code == 0, client.events[-3:]
            to.write_text(json.dumps(found))


_TREES: Mapping[str, Callable[[Stage, Path], None]] = {
    "proven": Stage._proven,
    "ahead": Stage._ahead,
    "armed": Stage._armed,
}


def told(client: Client, verb: Verb, opening: Iterator[str]) -> str:
    """The step that has arrived: the client says so a moment later where it has sent more than one at once.

    Of one that was told, and is carried once more without a word, it is told by its arrival alone.
    """
    if not client.step:
        return next(opening, "?")
    end = time.monotonic() + (1.0 if f"{client.let}{AGAIN}" in verb.steps else TELLS_S)
    while client.step == client.let and not client.ended and time.monotonic() < end:
        time.sleep(0.01)
    if client.step == client.let:
        return f"{client.let}{AGAIN}"
    client.let = client.step
    return client.let


def alive(pid: int) -> bool:
    """Does it run?"""
    return Path(f"/proc/{pid}").exists()


@contextmanager
def stage(home: Path, kept: Path) -> Iterator[Stage]:
    """The host, with its own files in *home*."""
    gate = Gate(home / "gate")
    kept.mkdir(exist_ok=True)
    with (
        Sshd(force_shell="sh", environment={"PATH": str(gate.bin)}) as sshd,
        Sshd() as plain,
        sshd.line() as line,
    ):
        _introduce(sshd, plain)
        yield Stage(sshd, plain, gate, line, kept)


def _introduce(known: Sshd, other: Sshd) -> None:
    """Who knows the one, and may log in there, knows the other, too."""
    with known.known_hosts.open("a") as file:
        file.write(other.known_hosts.read_text())
    with (other.home / "authorized_keys").open("a") as file:
        file.write(known.identity.with_suffix(".pub").read_text())
