"""Faults that are not of one step: a take-back cut short, two deploys at once, a client that hangs, a silent line."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from releases.plan import Step
from releases.scripts import render
from tests.app import App, until
from tests.conftest import require
from tests.faults.disks import DISKS, FILLER, empty, fill
from tests.faults.invariants import mended
from tests.faults.scene import Scene
from tests.faults.site import Site
from tests.faults.stage import Stage
from tests.faults.verbs import OLD, VERBS
from tests.gate import Gate
from tests.sshd import Sshd

pytestmark = pytest.mark.journey
DEPLOY = VERBS[0]
ENDS = ("live", "reverted", "failed")
TURNS = 3


def _came(gate: Gate, waits: list[int]) -> bool:
    """Has a call arrived? Its pid is added to those that wait."""
    kind, pid = gate.arrived(limit_s=0.02)
    waits += [pid] if kind else []
    return bool(kind)


def _cut_short(gate: Gate, waiter: list[str], environment: dict[str, str], call: int) -> bool:
    """Run the *waiter* up to its tool number *call*, and kill it there; False when it has ended before."""
    gate.reset()
    gate.count(call)
    cut = subprocess.Popen(waiter, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    waits = list[int]()
    until(lambda: cut.poll() is not None or _came(gate, waits), what="the call")
    came = cut.poll() is None
    if came:
        os.killpg(cut.pid, signal.SIGKILL)
        cut.wait()
    for pid in waits:  # in a session of its own it would go on waiting, and take what a later test lets in
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    gate.reset()
    return came


def test_a_takeback_is_cut_short_at_each_of_its_calls(stage: Stage, site: Site, tmp_path: Path) -> None:
    """P2: by whom it was begun; whoever comes next ends it, and never finds half of an arm."""
    scene = Scene(stage, site, DEPLOY, "settled")
    scene.block()
    whole = site.inside("armed/4")
    os.kill(int((site.root / ".switchover" / "armed" / "4" / "pid").read_text()), signal.SIGKILL)
    scene.client.kill()
    until(lambda: not site.locked, what="the lock")
    shutil.copytree(site.root / ".switchover", tmp_path / "before", symlinks=True)
    waiter = ["sh", "-c", render(Step("waiter", {"root": site.root}, ""))]
    environment = {**os.environ, "PATH": str(stage.gate.bin)}
    for call in range(1, 200):
        shutil.rmtree(site.root / ".switchover")
        shutil.copytree(tmp_path / "before", site.root / ".switchover", symlinks=True)
        (site.root / "next").symlink_to(f"releases/{site.releases[-1]}")
        (site.root / "next").rename(site.root / "current")
        came = _cut_short(stage.gate, waiter, environment, call)
        # The way back has become current by a rename; all else of an arm is there, or nothing.
        assert site.inside("armed/4") in ([], whole, [name for name in whole if name != "back"]), call
        subprocess.run(waiter, check=True, env={**os.environ, "PATH": "/usr/bin:/bin"}, stderr=subprocess.DEVNULL)
        assert (site.live, site.runs) == (OLD, str((site.root / "current").resolve())), call
        assert site.inside("armed") == [], call
        assert "reverted" in site.events(DEPLOY.number), call
        if not came:
            break
    assert call > 10
    mended(scene, confirmed=False)


def test_a_client_is_asked_to_end_before_it_has_the_lock(stage: Stage, site: Site) -> None:
    """With --json the last line is an outcome, then, too."""
    scene = Scene(stage, site, DEPLOY, "settle")
    scene.reach()
    scene.client.signal(signal.SIGINT)
    assert scene.end().code == 11
    assert scene.client.events[-1]["outcome"] == "unchanged"
    stage.gate.reset()
    mended(scene, confirmed=False)


@pytest.mark.parametrize(("step", "tool", "code"), [("prepare", "cp", 11), ("after_switch", "ls", 12)])
def test_a_command_is_killed(stage: Stage, site: Site, step: str, tool: str, code: int) -> None:
    """P12: a command of the user that dies has failed."""
    scene = Scene(stage, site, DEPLOY, step)
    scene.start()
    os.kill(stage.block(scene.client, DEPLOY, step, tool), signal.SIGKILL)
    assert scene.end().code == code, scene.client.events[-3:]
    mended(scene, confirmed=False)


def test_two_deploys_race(stage: Stage, tmp_path: Path) -> None:
    """P5: exactly one wins; it is held in its prepare until the other has been told."""
    one = Site(tmp_path / "one" / "shop", tmp_path / "srv", stage.plain.address, stage.sshd.ssh_config)
    two = Site(tmp_path / "two" / "shop", tmp_path / "srv", stage.plain.address, stage.sshd.ssh_config)
    for site in (one, two):
        site.configure(f'[prepare]\ncommands = ["until [ -e {tmp_path}/go ]; do sleep 0.01; done"]\n')
    for turn in range(TURNS):
        (tmp_path / "go").unlink(missing_ok=True)
        one.write(f"one {turn}")
        two.write(f"two {turn}")
        racing = [(site, site.start("deploy")) for site in (one, two)]
        until(lambda racing=racing: any(p.poll() is not None for _, p in racing), what="the loser")
        (tmp_path / "go").touch()
        said = [process.communicate(timeout=30)[1] for _, process in racing]
        assert sorted(p.returncode for _, p in racing) == [0, 75], said
        winner = next(site for site, p in racing if p.returncode == 0)
        assert one.live == (winner.folder / "version").read_text().strip()
        assert [e["event"] for e in one.journal if e.get("deploy") == turn + 1 and e["event"] in ENDS] == ["live"]


def test_a_client_that_hangs_is_unlocked(stage: Stage, site: Site) -> None:
    """`unlock` names it, ends it only with a yes, and settles its arm; when it wakes, it says that it lost."""
    scene = Scene(stage, site, DEPLOY, "settled")
    scene.block()
    scene.client.stop()
    asked = site.run("unlock")
    assert asked.code == 10
    assert "is locked by" in asked.out
    assert site.locked
    assert site.live == "v4"
    told = site.run("unlock", "--yes")
    assert told.code == 0, told.err
    assert not site.locked
    assert (site.live, site.inside("armed")) == (OLD, [])
    scene.client.wake()
    assert scene.end().code == 12, scene.client.events[-3:]
    why = scene.client.why
    assert ("has ended our session with `inv unlock` during settled" in why, "unknown" in why) == (True, False), why
    mended(scene, confirmed=False)


def test_a_silent_line_is_noticed_and_the_host_frees_its_lock(tmp_path: Path) -> None:
    """P2, P5, P12: by the client within 30 s, which cannot know how it ended; by the host after its 60 s."""
    require(Sshd.missing())
    with Sshd() as sshd, sshd.line() as line:
        app = App(tmp_path / "shop", tmp_path / "srv", line.address, sshd.ssh_config)
        app.deploy("v1")
        app.configure('[hooks]\nafter_switch = ["sleep 600"]\n')
        app.write("v2")
        process = app.start("deploy")
        until(lambda: any(e.get("step") == "after_switch" for e in app.journal), what="after_switch")
        line.swallow()
        began = time.monotonic()
        assert process.stderr
        assert any("reconnecting" in said for said in process.stderr), "it never noticed"
        assert time.monotonic() - began < 30
        assert app.live == "v2"
        until(lambda: app.live == "v1", limit_s=70, what="the old release")
        assert 30 < time.monotonic() - began < 75
        os.killpg(process.pid, signal.SIGKILL)  # what else it says, and with which code, shorter silences tell
        process.communicate()
        line.pass_()
        assert "was taken back" in app.run("status").out
        app.configure()
        assert app.run("deploy").code == 0


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("../site.tar.gz", ("tar -czf ../site.tar.gz .",)),
        ("git", ("git init -q", "git add .", "git -c user.name=a -c user.email=a@example.com commit -qm one")),
    ],
    ids=["archive", "git"],
)
def test_a_controller_whose_disk_is_full_builds_nothing(
    stage: Stage, tmp_path: Path, source: str, made: tuple[str, ...]
) -> None:
    """P2: it says so in one line, and no host hears of it."""
    full = next(fault for fault in DISKS if fault.name == "controller-full")
    with full.place(tmp_path), stage.site(tmp_path, DEPLOY) as site:
        (site.folder / "large").write_bytes(os.urandom(1 << 20))
        for command in made:
            subprocess.run(command.split(), cwd=site.folder, check=True)
        site.environment["TMPDIR"] = str(site.home)
        site.configure(DEPLOY.more, build=f'source = "{source}"', settle_s=0.05)
        before = site.journal
        fill(site.home)
        filler = site.home / FILLER
        os.truncate(filler, filler.stat().st_size - (1 << 16))  # with not one byte left Python takes another directory
        result = site.run(*DEPLOY.words)
        assert result.code == 10, result
        assert "No space left on device" in result.err
        assert len(result.err.splitlines()) <= 2, result.err
        assert site.journal == before
        empty(site.home)
        result = site.run(*DEPLOY.words)
        assert result.code == 0, result.err
