"""The power fails at many moments of a deploy and of a rollback, and what was not seen to the disk is lost.

``CUTS=50`` (`make often`) cuts it at so many moments of each instead of a few.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from releases.plan import Step
from releases.scripts import render
from tests.app import until
from tests.chaos import invariants, site
from tests.chaos.client import Client
from tests.chaos.loop import Loop
from tests.chaos.town import FIRST, Town
from tests.conftest import require
from tests.gate import Gate
from tests.sshd import Sshd

pytestmark = pytest.mark.journey
CUTS = int(os.environ.get("CUTS", "6"))
DEPLOYS = 6  # after so many of the cuts the next deploy is tried
NAME = "one"


@dataclass
class Stage:
    """One host, and one client."""

    town: Town
    host: Loop
    version: int = 0
    calls: int = 0  # of tools, in a deploy

    def start(self, *words: str) -> Client:
        """Start a command; a deploy is of something new."""
        if words[0] == "deploy":
            self.version += 1
            site.write(self.town.folder(0), f"v{self.version}")
        return self.town.start(0, words, (NAME,))

    def run(self, *words: str) -> Client:
        """Run a command to its good end."""
        return self.ended(self.start(*words))

    def ended(self, client: Client) -> Client:
        """Wait for its good end, and that of all that it has started."""
        until(client.poll, limit_s=60, what="the end of the command")
        client.close()
        assert client.process.returncode == 0, (client.err, client.outcome)
        until(lambda: not self.host.left, what="the end of what sessions run")
        return client

    def cut(self, verb: str, stride: int, to: Path) -> Iterator[tuple[Path, int]]:
        """Copy the disk before every so many calls of *verb*, and at its end; and how many events were told by then."""
        gate = self.host.gate
        gate.reset()
        gate.count(stride)
        client, number = self.start(verb), 0
        while not client.poll():
            if pid := gate.arrived(limit_s=0.05)[1]:
                client.read()
                yield self.host.copy(to / str(number)), client.told
                number += 1
                gate.count(stride)
                gate.let(pid)
        yield self.host.copy(to / "end"), client.told
        gate.reset()
        self.ended(client)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Two releases are proven on it."""
    require(Sshd.missing() or Loop.missing())
    if not Loop.known():
        pytest.skip("the kernel has no loop devices")
    home = tmp_path_factory.mktemp("powercut")
    host = Loop(NAME, home / NAME, FIRST + os.getpid() % 10_000 * 10 + 9, Gate(home / "gate"))
    with Town(home, [host]) as town:
        found = Stage(town, host)
        for _ in range(2):
            host.gate.count()
            found.run("deploy")
        found.calls = len(host.gate.calls)
        yield found


@pytest.mark.parametrize("verb", ["deploy", "rollback"])
def test_the_power_fails(stage: Stage, tmp_path: Path, verb: str) -> None:
    """P1, P2: what is live is whole, old or proven; the host settles the rest, and the next deploy needs no help."""
    host, calls = stage.host, stage.calls if verb == "deploy" else stage.calls // 2
    subprocess.run(["sync", "-f", str(host.root)], check=True)
    old, number = host.live, max(event["deploy"] for event in host.journal if event["event"] == "deploy") + 1
    copies = list(stage.cut(verb, max(1, calls // CUTS), tmp_path))
    new = host.live
    assert len(copies) >= CUTS, calls
    assert new != old
    for place, (copy, told) in enumerate(copies):
        with host.after_power_cut(copy):
            found = list(lasting(host, old, new, number))
            if not found and place % max(4, len(copies) // DEPLOYS) == 1:
                stage.run("deploy")
                found = list(invariants.tidy(host))
            assert not found, (f"cut {place} of {len(copies)}, after {told} events", found)


def lasting(host: Loop, old: str, new: str, number: int) -> Iterator[str]:
    """Before anything settles: all that is complete is whole. After the host has: old or proven, and it says so."""
    for release in host.complete:
        if broken := host.broken(release):
            yield f"{release} has a manifest, and these are not what it says: {broken}"
        elif len(found := host.version(release)) != 1:
            yield f"{release} has a manifest, and is not whole: {found}"
    if host.live not in (old, new):
        yield f"{host.live or 'nothing'} is live"
        return
    *lines, last = host.lines or [""]
    for line in lines:
        if not _reads(line):
            yield f"the journal has {line!r}"
    before, armed = host.live, host.armed
    settle = render(Step("waiter", {"root": host.root}, ""))
    ran = subprocess.run(["sh", "-c", settle], capture_output=True, text=True, timeout=60)
    said = host.events(number)
    if ran.returncode or host.armed:
        yield f"it does not settle: {ran.returncode} {ran.stderr} {host.armed}"
    if host.live != (new if "live" in said else old):
        yield f"{before} was live with {armed}, now {host.live}; the journal says {said} and ends with {last!r}"


def _reads(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
