"""One of three hosts that were proven fails ahead of the rename that confirms it, when the others are confirmed."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.app import until
from tests.faults.invariants import mended
from tests.faults.scene import Scene, name, parent
from tests.faults.stage import Stage
from tests.faults.verbs import VERBS

pytestmark = pytest.mark.journey
DEPLOY = next(verb for verb in VERBS if verb.name == "deploy_on_three")


@pytest.fixture
def scene(stage: Stage, tmp_path: Path) -> Iterator[Scene]:
    """The confirm of one is about to rename; the others are confirmed."""
    with stage.site(tmp_path, DEPLOY) as site:
        found = Scene(stage, site, DEPLOY, "confirm")
        found.start()
        found.waits = stage.block(found.client, DEPLOY, "confirm", "mv")
        until(lambda: all(map(found.confirmed_on, site.others)), what="the confirm of the others")
        assert not found.confirmed_on(site)
        yield found


def _step_killed(scene: Scene) -> None:
    pid = scene.waits
    while name(parent(pid)) != "timeout":
        pid = parent(pid)
    scene.stage.gate.open()
    os.kill(pid, signal.SIGKILL)


def _cut(scene: Scene) -> None:
    scene.stage.line.cut()


def test_a_confirm_that_dies_is_asked_for_once_more(scene: Scene) -> None:
    """P2: as long as the session of the host stands, what is proven on all need not go back on one."""
    _step_killed(scene)
    assert scene.end().code == 0, scene.client.events[-4:]
    assert mended(scene, confirmed=True) == "new"


@pytest.mark.parametrize(
    ("befalls", "code"), [(_cut, 13), (lambda scene: scene.client.kill(), -9)], ids=["cut", "killed"]
)
def test_a_host_that_is_lost_before_it_is_confirmed_goes_back_alone(
    scene: Scene, befalls: Callable[[Scene], None], code: int
) -> None:
    """P2, P12: the exit code says that hosts differ, `status` who is behind, and the next deploy makes them one."""
    befalls(scene)
    scene.stage.drain(scene.waits)
    assert code == -9 or scene.end().code == code, scene.client.events[-4:]
    assert mended(scene, confirmed=False) == "old, others new"
