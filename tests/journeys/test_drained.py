"""A server that is out of rotation at a balancer on a host of its own: what `status` says, and what `unlock` frees."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import Popen

import pytest

from tests.app import until
from tests.balancer import HAProxy
from tests.journeys.test_balancer import UP, Balanced, behind_haproxy, table
from tests.journeys.test_fleet import NAMES, strategy
from tests.sshd import Sshd

pytestmark = pytest.mark.journey
ALL = ("--host", ",".join(NAMES))
WAIT = "touch ../../arrived; until [ -e ../../go ]; do sleep 0.05; done"


@pytest.fixture
def site(sshd: Sshd, tmp_path: Path) -> Iterator[tuple[Balanced, HAProxy, Popen[str]]]:
    """A client in the midst of the switch of the first of three hosts, which is drained."""
    with behind_haproxy(sshd, tmp_path) as (fleet, haproxy):
        until(lambda: haproxy.states == UP, what="three servers that are up")
        fleet.change()
        strategy(fleet, 'kind = "rolling"', f'[hooks]\nafter_switch = ["{WAIT}"]\n{table(fleet, haproxy.socket)}')
        process = fleet.start("deploy")
        until((fleet.root / "one" / "arrived").exists, what="the host in its hook")
        yield fleet, haproxy, process  # type: ignore[misc]
        with suppress(ProcessLookupError):  # it may have ended
            os.killpg(process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        process.communicate()  # type: ignore[attr-defined]


def states(fleet: Balanced) -> dict[str, tuple[str, str]]:
    """What `status` says of each host: how its balancer sees it, and the note."""
    result = fleet.run("status", "--json")
    (rows,) = [event["hosts"] for event in result.events if event["event"] == "answer"]
    return {name: (row["balancer"], row["note"]) for name, row in zip(NAMES, rows, strict=True)}


def test_status_asks_the_balancer_and_a_dead_one_is_only_noted(site: tuple[Balanced, HAProxy, Popen[str]]) -> None:
    """In the table, too; who is out while a deploy is at work is not called left out."""
    fleet, haproxy, process = site
    found = states(fleet)
    assert [state for state, _ in found.values()] == ["drained", "in rotation", "in rotation"]
    assert ("is at work" in found["one"][1], "out of rotation" in found["one"][1]) == (True, False)
    assert "drained" in fleet.run("status").out
    haproxy.stop()
    found = states(fleet)
    assert [state for state, _ in found.values()] == ["?"] * 3
    assert all("its balancer cannot be asked: " in note for _, note in found.values())
    haproxy.start()
    (fleet.root / "one" / "go").touch()
    os.killpg(process.pid, signal.SIGKILL)
    until(lambda: fleet.each == fleet.was, limit_s=90, what="the old release")
    until(lambda: set(dict(states(fleet).values())) == {"in rotation"}, limit_s=90, what="everybody in rotation")
    haproxy.told("set server web/two state drain")
    state, note = states(fleet)["two"]
    assert (state, "nothing is armed to bring it back" in note) == ("drained", True)


def test_unlock_frees_the_lock_of_the_balancers_host_too(site: tuple[Balanced, HAProxy, Popen[str]]) -> None:
    """P5: asked about like the others; its arm is settled, and the next deploy begins."""
    fleet, haproxy, process = site
    os.killpg(process.pid, signal.SIGSTOP)
    place = f"balancer {fleet.address.partition('@')[2]}:{fleet.root.parent}/balancer"
    asked = fleet.run("unlock", *ALL)
    assert (asked.code, "is locked by" in asked.out, haproxy.states["one"]) == (10, True, "DRAIN")
    freed = fleet.run("unlock", "--yes", *ALL)
    assert freed.code == 0, freed.err
    assert [line.partition(" is locked by ")[0] for line in freed.out.splitlines()][-1] == place
    assert f"{place}: unlocked" in freed.err
    until(lambda: haproxy.states == UP, what="everybody in rotation")
    assert fleet.each == fleet.was
    assert fleet.run("unlock", *ALL).out.strip() == "no lock is held"
    strategy(fleet, 'kind = "rolling"', table(fleet, haproxy.socket))
    assert (fleet.run("deploy").code, fleet.each) == (0, fleet.now)
    haproxy.stop()
    assert fleet.run("unlock", *ALL).code == 0, "it is its host that is asked"
