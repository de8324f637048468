"""Two deployers at once: one goes live, the other is told who holds the lock, or waits for it."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.app import App, until
from tests.refusal import OUTCOMES, refused
from tests.sshd import Sshd

pytestmark = pytest.mark.journey
HELD = ("127.0.0.1:", "is locked by ana ", "at step prepare")


@pytest.fixture
def first(app: App) -> Iterator[subprocess.Popen[str]]:
    """A deploy of v2 by ana, held in its prepare until the file ``go`` lies in the root."""
    app.deploy("v1")
    app.configure(f'[prepare]\ncommands = ["until [ -e {app.root}/go ]; do sleep 0.05; done"]\n')
    app.write("v2")
    process = app.start("deploy", environment={"GITLAB_USER_LOGIN": "ana"})
    until(lambda: any(event.get("step") == "prepare" for event in app.journal), what="prepare")
    yield process
    (app.root / "go").touch()
    process.communicate(timeout=60)


def test_the_second_is_told_who_holds_the_lock_and_changes_nothing(app: App, first: subprocess.Popen[str]) -> None:
    """P5: whatever it wanted; ``--wait`` gives up in time, too."""
    for words in (("deploy",), ("rollback",), ("deploy", "--wait", "1s")):
        refused(app, *words, code=75, says=HELD, hint="`--wait 10m`")
    assert "locked by ana on " in app.run("status").out
    assert '"pid"' not in app.run("status").out
    assert app.run("plan").code == 0
    (app.root / "go").touch()
    _, said = first.communicate(timeout=60)
    assert (first.returncode, app.live) == (0, "v2"), said


def test_json_says_locked(app: App, first: subprocess.Popen[str]) -> None:
    """With its exit code."""
    result = app.run("deploy", "--json")
    last = result.events[-1]
    assert (result.code, last["event"], last["outcome"], last["exit"]) == (75, "outcome", OUTCOMES[75], 75)


def test_who_waits_goes_on_when_the_lock_is_free(app: App, first: subprocess.Popen[str]) -> None:
    """And deploys what it built before."""
    app.write("v3")
    second = app.start("deploy", "--wait", "60s")
    assert second.stderr
    assert "waiting: locked by ana" in second.stderr.readline()
    (app.root / "go").touch()
    _, said = second.communicate(timeout=60)
    first.wait(60)
    assert (first.returncode, second.returncode, app.live) == (0, 0, "v3"), said


def test_those_who_wait_go_on_in_the_order_of_arrival(app: App, first: subprocess.Popen[str], tmp_path: Path) -> None:
    """P5: and who has given up is not waited for."""
    waiting = []
    for name in ("ben", "cleo", "dora", "emil"):
        own = replace(app, folder=tmp_path / name / "shop")
        own.write(f"of {name}")
        waiting.append(own.start("deploy", "--wait", "90s", environment={"GITLAB_USER_LOGIN": name}))
        assert waiting[-1].stderr
        assert "waiting: locked by ana" in waiting[-1].stderr.readline()
    waiting[1].kill()
    (app.root / "go").touch()
    ended = [process.communicate(timeout=90) and process.returncode for process in waiting]
    assert ended == [0, -9, 0, 0]
    assert [event["by"] for event in app.journal if event["event"] == "deploy"][2:] == ["ben", "dora", "emil"]


def test_a_line_that_is_silent_while_somebody_waits_is_noticed(
    app: App, first: subprocess.Popen[str], sshd: Sshd, tmp_path: Path
) -> None:
    """P12: within silent_s, and not when the time to wait is over."""
    with sshd.line() as line:
        own = replace(app, folder=tmp_path / "ben" / "shop", address=line.address)
        own.configure("[connection]\nsilent_s = 2\n")
        own.write("v3")
        second = own.start("deploy", "--wait", "900s")
        assert second.stderr
        assert "waiting: locked by ana" in second.stderr.readline()
        line.swallow()
        _, said = second.communicate(timeout=60)
    assert second.returncode == 10
    assert "not a sign of life for 2 s" in said
