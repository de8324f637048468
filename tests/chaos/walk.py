"""A random walk: any commands, by one client or two, on any hosts, while any faults happen at any moments.

``python -m tests.chaos.walk SECONDS [SEED]`` (`make chaos`) stops at the first finding, leaves the roots, and tells the
seed and the turn. The same seed draws the same commands, hosts and faults; how they fall together is up to the machine.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.chaos import invariants, site
from tests.chaos.client import LIMIT_S, Client
from tests.chaos.faults import Fault, Happening
from tests.chaos.town import NAMES, Town

USUAL = 30  # events of a command, by host, until it is known
SETTLED_S = 100.0  # the host's patience with a silent line, and more
PLAIN = 6  # turns from one plain deploy to the next, on average
VERBS = (
    *("deploy",) * 8, *("rollback",) * 3, "release", "release", "join", "join", "prune", "pin", "unpin",
    "status", "verify", "unlock", "already",
)  # fmt: skip


class Finding(Exception):
    """A promise that was not kept."""


class Walk:
    """The walk that *seed* draws, over three hosts below *home*; *say* is told each turn."""

    def __init__(self, seed: int, home: Path, say: Callable[[str], None]) -> None:
        self.chance, self.town, self.say = random.Random(seed), Town(home), say
        self.turn, self.version = 0, 0
        self.told: list[str] = []
        self.usual: dict[tuple[str, int], int] = {}

    def run(self, seconds: float) -> None:
        """Walk for so long, and at least for one turn; raises `Finding`."""
        with self.town:
            try:
                self._plain(first=True)
                self.town.watch()
                end = time.monotonic() + seconds
                while self.turn == 0 or time.monotonic() < end:
                    self._turn()
                self._plain()
            except BaseException:
                self.town.keep()
                raise

    def _turn(self) -> None:
        self.turn += 1
        count = 2 if self.chance.random() < 0.25 else 1
        wanted = [self._drawn(client) for client in range(count)]
        faults = [Fault.drawn(self.chance, NAMES, count) for _ in range(self.chance.choice((0, 1, 1, 1, 2, 2, 3)))]
        plain = self.chance.random() < 1 / PLAIN
        before = {name: host.live for name, host in self.town.hosts.items()}
        for host in self.town.hosts.values():
            host.suffered.clear()
        clients = [self.town.start(number, *words) for number, words in enumerate(wanted)]
        happened = self._carried(clients, faults)
        self._tell(f"{self.turn}: " + " | ".join(map(str, clients)) + f"; {', '.join(happened) or 'no fault'}")
        self._settle()
        self._check(clients, before)
        if plain:
            self._plain()

    def _drawn(self, client: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The words of a command, and its hosts."""
        verb, pick = self.chance.choice(VERBS), self.chance.random()
        hosts = tuple(sorted(self.chance.sample(NAMES, self.chance.choice((1, 2, 3, 3, 3))), key=NAMES.index))
        wait = ("--wait", "20s") if self.chance.random() < 0.5 else ()
        there = sorted({name for host in self.town.hosts.values() for name in host.complete})
        some = there[int(pick * len(there))]
        if verb == "deploy":
            self._next_version(client)
            return ("deploy", *wait), hosts
        if verb == "already":
            return ("deploy", *wait), hosts
        if verb == "join":
            host = self.town.hosts[NAMES[int(pick * 3)]]
            return ("join", host.line.address.partition("@")[2], *wait), NAMES
        words = {"release": ("deploy", "--release", some), "pin": ("pin", some), "unpin": ("unpin", some)}
        return {"unlock": ("unlock", "--yes")}.get(verb, words.get(verb, (verb,))), hosts

    def _next_version(self, client: int) -> None:
        self.version += 1
        site.write(self.town.folder(client), f"v{self.version}")

    def _carried(self, clients: list[Client], faults: list[Fault]) -> list[str]:
        """Let the commands run, and the faults happen; returns those that did."""
        happenings = [
            Happening(fault, self.town.hosts[fault.host], clients[fault.client], self._expected(clients[fault.client]))
            for fault in faults
        ]
        end = time.monotonic() + LIMIT_S
        try:
            while [client for client in clients if not client.poll()]:
                for happening in happenings:
                    happening.look()
                if time.monotonic() > end:
                    self._found("a command did not end", *map(str, clients), *(c.err[-500:] for c in clients))
                time.sleep(0.005)
        finally:
            for happening in happenings:
                happening.end()
            for client in clients:
                client.close()
        told = [happening.told for happening in happenings if happening.told]
        if not told and len(clients) == 1 and clients[0].process.returncode == 0:
            self.usual[clients[0].words[0], len(clients[0].hosts)] = clients[0].told
        return told

    def _expected(self, client: Client) -> int:
        return self.usual.get((client.words[0], len(client.hosts)), USUAL * len(client.hosts))

    def _settle(self, *, helped: bool = False) -> None:
        """Wait until every host has done all that it does by itself.

        Where a disk was full while the dead man's switch tried, it is left to the next session, unless one *helped*.
        """
        end = time.monotonic() + SETTLED_S
        for host in self.town.hosts.values():
            while does := invariants.quiet(host):
                if time.monotonic() > end and host.armed and host.filled and not (helped or host.orphaned):
                    host.orphaned = True
                elif time.monotonic() > end:
                    self._found(f"{host.name}: {does}")
                time.sleep(0.02)
            if not host.daemons and "daemon" in host.suffered:
                host.start()

    def _check(self, clients: list[Client], before: dict[str, str]) -> None:
        found = [line for client in clients for line in invariants.ended(client)]
        found += [line for client in clients for line in invariants.recorded(client, self.town.hosts)]
        if len(clients) == 1:
            found += invariants.truthful(clients[0], self.town.hosts, before)
        self._report_on(found, self._status())
        if any(host.orphaned for host in self.town.hosts.values()):
            self._alone("prune")  # the next session settles what a dead man's switch had left that was killed itself
            for host in self.town.hosts.values():
                host.orphaned = False
            self._settle(helped=True)
            self._report_on([], self._status())

    def _status(self) -> Iterator[str]:
        client = self._alone("status", codes=(0, 13))
        rows = next(e["hosts"] for e in client.events if e["event"] == "answer")
        differ = len({host.live for host in self.town.hosts.values()}) > 1
        if (client.process.returncode == 13) != differ:
            yield f"status ends with {client.process.returncode}, but {rows}"
        for host in self.town.hosts.values():
            row = next(row for row in rows if row["host"].endswith(f":{host.line.port}"))
            yield from (f"{host.name}: {line}" for line in invariants.status(host, row))

    def _report_on(self, found: list[str], more: Iterator[str]) -> None:
        found += more
        for host in self.town.hosts.values():
            lines = (*invariants.whole(host, orphaned=host.orphaned), *invariants.written(host))
            found += [f"{host.name}: {line}" for line in lines]
        found += [line for reader in self.town.readers for line in reader.wrong]
        if found:
            self._found(*found)

    def _plain(self, *, first: bool = False) -> None:
        """The next deploy to all needs no help, and leaves everything tidy."""
        self._next_version(0)
        client = self._alone("deploy")
        self.usual["deploy", 3] = client.told
        self._settle()
        self._report_on([], self._status())
        self._found(
            *(f"{host.name}: {line}" for host in self.town.hosts.values() for line in invariants.tidy(host)),
            *(f"{host.name} is not at {client.outcome}" for host in self.town.hosts.values()
              if host.live != client.outcome["release"]),
        )  # fmt: skip

    def _alone(self, *words: str, codes: tuple[int, ...] = (0,)) -> Client:
        """Run a command on all hosts that nothing happens to."""
        client = self.town.start(0, words, NAMES)
        self._carried([client], [])
        if client.process.returncode not in codes:
            self._found(f"a plain one failed: {client}", client.err, str(client.outcome))
        return client

    def _tell(self, line: str) -> None:
        self.told.append(line)
        self.say(line)

    def _found(self, *lines: str) -> None:
        if lines:
            raise Finding("\n".join(lines))


def walked(seconds: float, seed: int, home: Path, say: Callable[[str], None] = lambda line: None) -> int:
    """Walk; returns the number of turns. Raises `Finding` with all that repeats it and where the roots are."""
    walk = Walk(seed, home, say)
    try:
        walk.run(seconds)
    except Finding as finding:
        last = "\n".join(walk.told[-30:])
        raise Finding(f"{last}\n\nseed {seed}, turn {walk.turn}, roots below {home}\n{finding}") from None
    return walk.turn


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seconds", type=float)
    parser.add_argument("seed", type=int, nargs="?", default=random.randrange(1 << 32))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    home = Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        turns = walked(given.seconds, given.seed, home, lambda line: print(line, flush=True))
    except Finding as finding:
        print(f"\n{finding}")
        return 1
    shutil.rmtree(home)
    print(f"{turns} turns, nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
