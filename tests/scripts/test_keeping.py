"""prune, pin, unlock, sizes and manifest: what a host keeps, and what it lets go."""

import base64
import json
import os
from pathlib import Path

import pytest

from releases import steps
from releases.manifest import Manifest
from tests.app import until
from tests.hosts import config
from tests.scripts.disks import full
from tests.scripts.running import A, B, C, Here
from tests.scripts.switching import events, switched, waiter


def test_prune_spares_what_is_live_and_what_is_in_use(account: Here) -> None:
    """P6: whatever the plan said; a real process works in one of them."""
    for release in (A, B, C):
        directory = account.release(release, {"a/b": "x"})
        for path in (directory / "a" / "b", directory / "a", directory):
            path.chmod(0o555)
    account.publish(A)
    account.own()
    working = account.start("sleep", "60", cwd=account.root / "releases" / B.name / "a")
    until(lambda: b"sleep" in Path(f"/proc/{working.pid}/cmdline").read_bytes(), what="the process")
    ran = account.run(steps.prune(account.layout, (A, B, C), '{"event":"pruned"'))
    assert (ran.code, ran.answer.all("pruned")) == (0, (C.name,))
    assert ran.err == f"prune: {B} is in use: kept\n"
    assert sorted(path.name for path in (account.root / "releases").iterdir()) == [A.name, B.name]
    assert sorted(path.name for path in (account.private / "manifests").iterdir()) == [f"{A}.gz", f"{B}.gz"]
    event = json.loads(account.journal)
    assert (event["event"], event["release"]) == ("pruned", C.name)
    working.kill()
    working.wait()
    assert account.run(steps.prune(account.layout, (B,), '{"event":"pruned"')).answer.all("pruned") == (B.name,)


def test_the_manifest_goes_before_the_release(account: Here) -> None:
    """What is half removed is debris, which the next deploy clears."""
    directory = account.release(B)
    account.own()
    # A folder of another account, as a container may leave it: this account cannot remove what is in it.
    (directory / "theirs" / "deep").mkdir(parents=True)
    (directory / "theirs").chmod(0o700 if account.drops else 0o500)
    account.run(steps.prune(account.layout, (B,), '{"event":"pruned"'))
    assert not (account.private / "manifests" / f"{B}.gz").exists()
    assert not (directory / "version").exists() or not account.drops


def test_pins_are_kept_once_and_taken_out_again(here: Here) -> None:
    """The others stay."""
    for release, pinned in ((A, True), (B, True), (A, True), (B, False), (C, False)):
        assert here.run(here.step("pin", release=release, pinned=pinned)).code == 0
    assert (here.private / "pins").read_text() == f"{A}\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="a full disk is made by mounting one: run as root")
@pytest.mark.parametrize("pinned", [True, False])
def test_a_full_disk_takes_no_pin_away(here: Here, pinned: bool) -> None:
    """What cannot be written down leaves what was, and nothing half."""
    with full(here.root) as fill:
        here.private.mkdir()
        before = f"{A}\n{B}\n" * 1000
        (here.private / "pins").write_text(before)
        fill()
        assert here.run(here.step("pin", release=B, pinned=pinned)).code == 73
        assert ((here.private / "pins").read_text() == before, (here.private / "pins.new").exists()) == (True, False)


def test_a_manifest_and_sizes_are_told(here: Here) -> None:
    """For the controller's cache, and for people; nothing of what is not complete."""
    directory = here.release(A, {"version": "x" * 5000})
    found = here.run(here.step("manifest", release=A)).answer.one("manifest")
    assert [entry.path for entry in Manifest.unpacked(base64.b64decode(found)).entries] == ["version"]
    assert here.run(here.step("manifest", release=B)).answer.one("manifest") == ""
    assert here.run(here.step("sizes", releases=(A,))).answer.one("size").split()[0] == directory.name


def test_whose_root_it_is_is_written_once(here: Here) -> None:
    """By the first deploy, or by the first that finds nothing written there; a survey tells it."""
    for app in ("shop", "other"):
        assert here.run(steps.begin(here.layout, '{"event":"deploy","deploy":8', app=app)).code == 0
    assert (here.root / ".switchover" / "app").read_text() == "shop\n"
    assert here.run(steps.survey(config(root=here.layout.root), ())).answer.one("app") == "shop"


def test_an_arm_that_is_half_made_waits_for_nothing(here: Here) -> None:
    """Its deploy has not switched; whoever comes next removes it."""
    for name in ("2", "3.new"):
        (here.private / "armed" / name).mkdir()
    for step in (steps.survey(config(root=here.layout.root), ()), here.step("lock")):
        assert here.run(step).answer.all("armed") == ("2",)


def test_unlock_ends_the_session_and_its_step_and_nobody_else(here: Here) -> None:
    """The process that waits to take the switch back is spared, and does it; so are those who wait for the lock."""
    for release in (A, B):
        here.release(release)
    here.publish(A)
    with here.session() as deployer:
        switched(here, deployer)
        waiting = waiter(here)
        third = here.start(here.sh, "-c", 'exec 9>>"$1"; flock 9; exec sleep 60', "sh", str(here.private / "lock"))
        until(lambda: os.path.exists(f"/proc/{third.pid}/fd/9"), what="another who waits")
        deployer.begin("touch_me=1; sleep 600")
        until(lambda: _runs("sleep\x00600"), what="the step")
        told = '{"event":"unlocked","by":"ben"'
        assert here.run(here.step("unlock", session=deployer.process.pid, unlocked=told)).code == 0
        until(lambda: not _runs("sleep\x00600"), what="the end of the step")
        assert deployer.process.wait(10) == -9
    assert third.poll() is None
    third.kill()
    until(lambda: any(events(here, "reverted")), what="the old release")
    assert [event["event"] for event in events(here, "unlocked", "reverted")] == ["unlocked", "reverted"]
    assert here.live == f"releases/{A}"
    until(lambda: not os.path.exists(f"/proc/{waiting}/fd/9"), what="the end of the waiting process")


@pytest.mark.parametrize("session", [0, 1, "", "-1", "$(touch pwned)", "us"])
def test_unlock_ends_nobody_who_does_not_hold_the_lock(here: Here, session: object) -> None:
    """75: the lock.info may be old, or anything."""
    with here.session() as deployer:
        ran = here.run(here.step("unlock", session=os.getpid() if session == "us" else session))
        assert deployer.process.poll() is None
    assert (ran.code, "does not hold the lock" in ran.err) == (75, True)
    assert not list(here.base.rglob("pwned"))


def test_unlock_finds_the_lock_free_when_its_holder_has_just_ended(here: Here) -> None:
    """By itself, while somebody read who it was; that is what was wanted."""
    with here.session() as deployer:
        gone = deployer.process.pid
    ran = here.run(here.step("unlock", session=gone, unlocked='{"event":"unlocked"'))
    assert (ran.code, ran.answer.one("free"), ran.err) == (0, "1", "")
    assert not here.journal


def _runs(words: str) -> bool:
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes().decode(errors="replace").startswith(words):
                return True
        except OSError:
            continue
    return False


def test_prune_removes_nothing_where_processes_cannot_be_read(account: Here) -> None:
    """P6: what it can't judge is spared; here awk tells nothing, and no tool fails."""
    account.release(A)
    account.release(B)
    account.publish(A)
    account.own()
    blind = account.base / "blind"
    blind.mkdir()
    (blind / "awk").write_text("#!/bin/sh\ncat >/dev/null\n")
    (blind / "awk").chmod(0o755)
    ran = account.run(steps.prune(account.layout, (B,), '{"event":"pruned"'), path=f"{blind}:{account.path}")
    assert (ran.code, ran.err) == (70, "prune: the processes of this host cannot be read\n")
    assert (account.root / "releases" / B.name / "version").exists()
