"""The client is killed between what a canary writes down and its confirm: nothing waits that nobody confirmed."""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.app import until
from tests.conftest import require
from tests.faults.client import Client
from tests.gate import Gate
from tests.journeys.test_canary import HOLD, notes
from tests.journeys.test_fleet import NAMES, Fleet
from tests.refusal import told
from tests.sshd import Sshd

pytestmark = pytest.mark.journey


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """Open."""
    return Gate(tmp_path / "gate")


@pytest.fixture
def fleet(gate: Gate, tmp_path: Path) -> Iterator[Fleet]:
    """v1 is live on three roots of a host whose steps can be held; v2 is in the project."""
    require(Sshd.missing())
    with Sshd(force_shell="sh", environment={"PATH": str(gate.bin)}) as sshd:
        found = Fleet(tmp_path / "shop", tmp_path / "srv", sshd.address, sshd.ssh_config, strategy=HOLD)
        found.deploy("v1")
        found.write("v2")
        yield found
        gate.open()


def locked(root: Path) -> bool:
    """Does anybody hold the lock of this root?"""
    with (root / ".switchover" / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def served(fleet: Fleet) -> Iterator[None]:
    """P1: what is live on each root is looked at all the time, and is always a whole release."""
    wrong, ended = list[str](), threading.Event()

    def look() -> None:
        while not ended.wait(0.005):
            wrong.extend(found for found in fleet.each if found not in ("v1", "v2"))

    thread = threading.Thread(target=look)
    thread.start()
    yield
    ended.set()
    thread.join()
    assert not wrong


def killed(fleet: Fleet, gate: Gate, *words: str, at: str, times: int = 1) -> None:
    """Run a command until it has begun the step *at* so often, kill it before that is done, and let the hosts be."""
    gate.reset()
    gate.close()
    client = Client(fleet.start(*words, "--json"))  # type: ignore[arg-type]
    while [e["step"] for e in client.events if e.get("state") == "begin"].count(at) < times:
        _, pid = gate.arrived()
        assert pid, f"{at} never came: {client.end()} {client.events[-3:]}"
        client.read()
        if [e["step"] for e in client.events if e.get("state") == "begin"].count(at) < times:
            gate.let(pid)
    client.kill()
    gate.open()
    roots = [fleet.root / name for name in NAMES]
    until(lambda: not any(map(locked, roots)), limit_s=90, what="the locks")
    until(lambda: not [arm for root in roots for arm in _armed(root)], limit_s=90, what="the dead man's switches")


def _armed(root: Path) -> list[str]:
    path = root / ".switchover" / "armed"
    return [arm.name for arm in path.iterdir() if not arm.name.endswith(".new")] if path.is_dir() else []


@pytest.mark.parametrize(("at", "times"), [("canary", 2), ("confirm", 1)], ids=["its own line only", "every line"])
def test_a_canary_that_was_not_confirmed_goes_back_and_waits_nowhere(
    fleet: Fleet, gate: Gate, at: str, times: int
) -> None:
    """P1, P2: whoever has the line in its journal; the next deploy makes a canary of its own, which is promoted."""
    with served(fleet):
        killed(fleet, gate, "deploy", at=at, times=times)
        assert fleet.each == ["v1"] * 3
        found = notes(fleet)
        assert not [note for note in found if "canary" in note]
        assert "deploy 2 was taken back" in found[0]
        told(fleet.run("deploy", "--promote"), code=10, says=("no canary waits",), hint="hold = true")
        assert (fleet.run("deploy").code, fleet.each) == (13, ["v2", "v1", "v1"])
        assert "canary of" in notes(fleet)[0]
        assert (fleet.run("deploy", "--promote").code, fleet.each) == (0, ["v2"] * 3)
    assert notes(fleet) == [""] * 3


def test_a_promotion_that_was_not_confirmed_leaves_the_canary_as_it_was(fleet: Fleet, gate: Gate) -> None:
    """P1, P2: it waits on, and is promoted by the next one."""
    assert fleet.run("deploy").code == 13
    with served(fleet):
        killed(fleet, gate, "deploy", "--promote", at="confirm")
        assert fleet.each == ["v2", "v1", "v1"]
        assert ["canary" in note for note in notes(fleet)] == [True] * 3
        assert (fleet.run("deploy", "--promote").code, fleet.each) == (0, ["v2"] * 3)
    assert notes(fleet) == [""] * 3


def test_a_promotion_that_was_confirmed_is_one_though_nobody_wrote_that_down(fleet: Fleet, gate: Gate) -> None:
    """P2: no canary waits any more, and the next deploy is not refused."""
    assert fleet.run("deploy").code == 13
    with served(fleet):
        killed(fleet, gate, "deploy", "--promote", at="end")
        assert fleet.each == ["v2"] * 3
        assert not [note for note in notes(fleet) if "waits on" in note or "canary of" in note]
        told(fleet.run("deploy", "--promote"), code=10, says=("no canary waits",), hint="hold = true")
    fleet.write("v3")
    assert (fleet.run("deploy").code, fleet.each) == (13, ["v3", "v2", "v2"])
