"""The dead man's switch raced against confirm and against the next deploy: exactly one of them wins.

``RACES=1000`` (`make often`) runs so many races of each instead of a few.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from releases import steps
from releases.history import prefix
from releases.scripts import quoted, render
from tests.scripts.running import A, B, C, Here
from tests.scripts.switching import arm, events, ok

RACES = int(os.environ.get("RACES", "5"))
SEED = 7
MARKS = ("undone", "finished")


@dataclass
class Race:
    """A switch of B over A that is armed and made, over and over again, whose deploy dies at any moment."""

    here: Here
    armed: Path

    def reset(self) -> None:
        """Armed, made, and not confirmed."""
        private = self.here.private
        shutil.rmtree(private)
        shutil.copytree(self.armed, private, symlinks=True)
        for name in MARKS:
            (self.here.base / name).unlink(missing_ok=True)
        (self.here.root / "next").symlink_to(f"releases/{B}")
        (self.here.root / "next").rename(self.here.root / "current")

    def holding(self, script: str) -> subprocess.Popen[bytes]:
        """A process that takes the lock, says so, and goes on with *script*."""
        lock = quoted(str(self.here.private / "lock"))
        return self.here.start(self.here.sh, "-c", f"exec 9>>{lock}; flock 9; echo held; {script}")

    def waiting(self) -> subprocess.Popen[bytes]:
        """The dead man's switch."""
        return self.here.start(self.here.sh, "-c", render(self.here.step("waiter")), "armed/")

    def dies(self, process: subprocess.Popen[bytes], after_s: float) -> None:
        """It has the lock, and is killed with all that it runs so long after."""
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        time.sleep(after_s)
        os.killpg(process.pid, signal.SIGKILL)

    @property
    def said(self) -> list[str]:
        """How often it was told that the switch is live, or was taken back."""
        return [event["event"] for event in events(self.here)]


@pytest.fixture
def race(here: Here) -> Race:
    """A switch that is armed and made, to be copied."""
    for release in (A, B, C):
        here.release(release)
    here.publish(A)
    with here.session() as deployer:
        ok(deployer.run(arm(here)))
        pid = int((here.private / "armed" / "7" / "pid").read_text())
        os.kill(pid, signal.SIGKILL)
    shutil.copytree(here.private, here.base / "armed", symlinks=True)
    return Race(here, here.base / "armed")


def ended(process: subprocess.Popen[bytes]) -> str:
    """Wait for its end; what it said on stderr."""
    _, err = process.communicate(timeout=60)
    return err.decode()


def test_a_confirm_that_dies_and_the_dead_mans_switch(race: Race) -> None:
    """P2: either the switch is live, said once and finished, or it was taken back, said once and undone."""
    chance, seen, here = random.Random(SEED), set(), race.here
    confirm = render(here.step("confirm", number=7))
    race.reset()
    began = time.monotonic()
    ended(race.holding(confirm))
    whole_s = time.monotonic() - began
    for turn in range(RACES):
        race.reset()
        deploy = race.holding(confirm)
        waiter = race.waiting()
        race.dies(deploy, chance.random() * whole_s * 1.2)
        said = ended(waiter)
        ended(deploy)
        marks = tuple(name for name in MARKS if (here.base / name).exists())
        found = (race.said, here.live, marks)
        assert found in (
            (["live"], f"releases/{B}", ("finished",)),
            (["reverted"], f"releases/{A}", ("undone",)),
        ), (turn, found, said)
        assert list((here.private / "armed").iterdir()) == list((here.private / "confirmed").iterdir()) == [], turn
        seen.add(found[1])
    assert len(seen) == 2 or RACES < 100, "one of the two won each time: the race is none"


def test_the_next_deploy_and_the_dead_mans_switch(race: Race) -> None:
    """P2, P5: the switch is taken back once, by whoever came first, and the next deploy is never taken for it."""
    chance, here = random.Random(SEED), race.here
    settle = render(steps.settle(here.layout, prefix({"who": "next"})))
    deploy = f"sh -c {quoted(settle)} && sh -c {quoted(render(steps.publish(here.layout, C, A)))}"
    for turn in range(RACES):
        race.reset()
        dead = race.holding("sleep 60")
        rivals = [race.waiting(), race.holding(deploy)]
        chance.shuffle(rivals)
        race.dies(dead, chance.random() * 0.02)
        said = [ended(rival) for rival in rivals]
        ended(dead)
        undone = (here.base / "undone").read_text().splitlines()
        assert (race.said, here.live, undone) == (["reverted"], f"releases/{C}", ["undone"]), (turn, said)
        assert list((here.private / "armed").iterdir()) == [], turn
