"""arm, confirm, finish, takeback, settle, the waiting process and boot: one switch, and only one end of it."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from releases import steps
from releases.arming import armed
from releases.plan import Plan, Step
from releases.processes.kind import Switch
from releases.processes.kinds import kinds
from releases.scripts import render
from tests.app import until
from tests.hosts import config
from tests.scripts.disks import full
from tests.scripts.running import A, B, Here, Talk
from tests.scripts.switching import UNDONE, arm, events, ok, switched, waiter


@pytest.fixture
def site(here: Here) -> Here:
    """Release A is live, B is complete."""
    for release in (A, B):
        here.release(release)
    here.publish(A)
    return here


@pytest.fixture
def deployer(site: Here) -> Iterator[Talk]:
    """A session that holds the lock."""
    with site.session() as talk:
        assert talk.first == f"READY {talk.word}"
        ok(talk.run(steps.settle(site.layout, '{"who":"ana"')))
        yield talk


def test_what_was_armed_and_not_confirmed_is_taken_back(site: Here, deployer: Talk) -> None:
    """By whoever comes next with the lock; journaled once, and the arm is gone."""
    switched(site, deployer)
    ran = ok(deployer.run(steps.settle(site.layout, '{"who":"ben"')))
    assert ran.answer.all("reverted") == ("7 0",)
    ok(deployer.run(steps.settle(site.layout, '{"who":"ben"')))
    assert site.live == f"releases/{A}"
    assert (site.base / "undone").read_text() == "undone\n"
    assert [(e["event"], e["deploy"], e["release"], e["to"], e["code"]) for e in events(site)] == [
        ("reverted", 7, B.name, A.name, 0)
    ]
    assert os.listdir(site.private / "armed") == []
    assert json.loads((site.private / "lock.info").read_text()) == {"who": "ben", "pid": deployer.process.pid}


def test_what_was_confirmed_stays(site: Here, deployer: Talk) -> None:
    """Neither the next session nor the waiting process, which is gone, takes it back; confirming twice says so once."""
    switched(site, deployer)
    waiting = waiter(site)
    for _ in range(2):
        ok(deployer.run(steps.confirm(site.layout, 7)))
    assert os.path.exists(f"/proc/{waiting}/fd/9"), "it waits until what was replaced has been told to stop"
    for _ in range(2):
        ok(deployer.run(steps.finish(site.layout, 7)))
    until(lambda: not os.path.exists(f"/proc/{waiting}/fd/9"), what="the end of the waiting process")
    ok(deployer.run(steps.settle(site.layout, '{"who":"ben"')))
    assert site.live == f"releases/{B}"
    assert (site.base / "finished").exists()
    assert not (site.base / "undone").exists()
    assert [(e["event"], e["deploy"], e["previous"]) for e in events(site)] == [("live", 7, A.name)]
    assert os.listdir(site.private / "confirmed") == os.listdir(site.private / "armed") == []


def test_what_was_taken_back_cannot_be_confirmed(site: Here, deployer: Talk) -> None:
    """75: only one rename can win."""
    switched(site, deployer)
    ok(deployer.run(site.step("takeback")))
    ran = deployer.run(steps.confirm(site.layout, 7))
    assert (ran.code, "taken back meanwhile" in ran.err) == (75, True)
    assert (site.live, [e["event"] for e in events(site)]) == (f"releases/{A}", ["reverted"])


def test_a_takeback_ends_the_waiting_process(site: Here, deployer: Talk) -> None:
    """Which has nothing left to wait for."""
    switched(site, deployer)
    waiting = waiter(site)
    ok(deployer.run(site.step("takeback")))
    until(lambda: not os.path.exists(f"/proc/{waiting}/fd/9"), what="the end of the waiting process")


def test_a_session_that_is_killed_is_taken_back_by_the_host_itself(site: Here, deployer: Talk) -> None:
    """P2: nobody has to come; the process that was left waiting gets the lock."""
    switched(site, deployer)
    waiter(site)
    deployer.process.kill()
    until(lambda: site.live == f"releases/{A}", what="the old release")
    until(lambda: events(site), what="its event")
    assert [e["event"] for e in events(site)] == ["reverted"]
    until(lambda: not site.processes(), what="the end of the waiting process")


def test_a_takeback_that_is_cut_short_is_finished_by_the_host_itself(site: Here, deployer: Talk) -> None:
    """P2: the session dies while it takes back."""
    slow = f"{UNDONE}; until [ -e go ]; do sleep 0.05; done"
    switched(site, deployer, undo=slow)
    waiter(site)
    deployer.begin(site.step("takeback"))
    until(lambda: (site.base / "undone").exists(), what="the middle of the takeback")
    deployer.hang_up()
    until(lambda: (site.base / "undone").read_text() == "undone\nundone\n", what="a second attempt")
    (site.base / "go").touch()
    until(lambda: [e["event"] for e in events(site)] == ["reverted"], what="the end of it")
    assert site.live == f"releases/{A}"


def test_a_confirmed_switch_is_finished_by_whoever_comes_next(site: Here, deployer: Talk) -> None:
    """Killed between the rename and the journal: live is journaled, once, and the old is told to stop."""
    switched(site, deployer)
    (site.private / "armed" / "7").rename(site.private / "confirmed" / "7")
    for _ in range(2):
        ran = ok(deployer.run(steps.settle(site.layout, '{"who":"ben"')))
    assert ran.answer.all("finished") == ()
    assert (site.base / "finished").exists()
    assert [(e["event"], e["deploy"]) for e in events(site)] == [("live", 7)]
    assert site.live == f"releases/{B}"


def test_a_finish_that_fails_is_tried_again_and_then_told(site: Here, deployer: Talk) -> None:
    """By the next one; it never keeps a deploy from happening."""
    switched(site, deployer, finish="exit 3")
    ok(deployer.run(steps.confirm(site.layout, 7)))
    assert deployer.run(steps.finish(site.layout, 7)).code == 3
    ran = ok(deployer.run(steps.settle(site.layout, '{"who":"ben"')))
    assert "what deploy 7 replaced could not be told to stop" in ran.err
    assert [e["event"] for e in events(site)] == ["live"]


def test_a_part_that_cannot_be_taken_back_is_told_and_the_link_still_goes_back(site: Here, deployer: Talk) -> None:
    """The journal has its code."""
    switched(site, deployer, undo="exit 9")
    ran = ok(deployer.run(site.step("takeback")))
    assert (site.live, ran.answer.one("reverted")) == (f"releases/{A}", "7 9")
    assert [e["code"] for e in events(site)] == [9]


def test_a_link_that_cannot_be_put_back_stays_armed(site: Here, deployer: Talk) -> None:
    """73, for whoever repairs it: here somebody has put a directory in its place."""
    switched(site, deployer)
    (site.root / "current").unlink()
    (site.root / "current" / "mine").mkdir(parents=True)
    assert deployer.run(site.step("takeback")).code == 73
    assert (os.listdir(site.private / "armed"), events(site)) == (["7"], [])
    (site.root / "current").rename(site.base / "moved")
    ok(deployer.run(steps.settle(site.layout, '{"who":"ben"')))
    assert site.live == f"releases/{A}"


def test_a_release_that_was_removed_meanwhile_keeps_nobody_from_settling(site: Here, deployer: Talk) -> None:
    """P2: the link leads to nothing again, as it did before; no session has to be repaired by hand."""
    switched(site, deployer)
    (site.root / "releases" / A.name).rename(site.base / "gone")
    ok(deployer.run(site.step("takeback")))
    assert (site.live, os.listdir(site.private / "armed")) == (f"releases/{A}", [])


def test_a_client_that_dies_behind_its_confirm_leaves_somebody_who_finishes(site: Here, deployer: Talk) -> None:
    """P2: what was replaced is told to stop by the host itself, or it would serve beside the new for days."""
    switched(site, deployer)
    waiter(site)
    ok(deployer.run(steps.confirm(site.layout, 7)))
    deployer.process.kill()
    until(lambda: (site.base / "finished").exists(), what="the end of what was replaced")
    until(lambda: not site.processes(), what="the end of the waiting process")
    assert (site.live, os.listdir(site.private / "confirmed")) == (f"releases/{B}", [])


@pytest.mark.skipif(os.geteuid() != 0, reason="a full disk is made by mounting one: run as root")
@pytest.mark.parametrize("who", ["the next session", "the waiting process", "the boot of the app", "the deployer"])
@pytest.mark.parametrize("inodes", [False, True], ids=["bytes", "inodes"])
def test_a_full_disk_keeps_nobody_from_taking_back(here: Here, who: str, inodes: bool) -> None:
    """P2: neither who holds the lock nor what the journal would say is a condition of it."""
    with full(here.root) as fill:
        for part in ("releases", "shared", ".switchover/armed", ".switchover/confirmed", ".switchover/manifests"):
            (here.root / part).mkdir(parents=True)
        for release in (A, B):
            here.release(release)
        here.publish(A)
        with here.session() as deployer:
            switched(here, deployer)
            waiting = waiter(here)
            fill(inodes=inodes)
            if who == "the deployer":
                ok(deployer.run(here.step("takeback")))
            if who != "the waiting process":
                os.killpg(waiting, signal.SIGKILL)
        if who == "the next session":
            with here.session() as talk:
                ok(talk.run(steps.settle(here.layout, '{"who":"ben"')))
        if who == "the boot of the app":
            ok(here.run(here.step("boot", started=())))
        until(lambda: here.live == f"releases/{A}", what="the old release")
        (here.root / "filler").unlink(missing_ok=True)
        with here.session() as talk:
            ok(talk.run(steps.settle(here.layout, '{"who":"ben"')))
        assert [event["event"] for event in events(here)] == ["reverted"]


def test_boots_come_one_after_the_other(site: Here, deployer: Talk) -> None:
    """P2: the unit of one process must not start what that of another is just taking back."""
    switched(site, deployer, undo="until [ -e go ]; do sleep 0.05; done")
    os.killpg(waiter(site), signal.SIGKILL)  # as a reboot does
    deployer.process.kill()
    deployer.process.wait()
    boots = [site.start(site.sh, "-c", render(site.step("boot", started=()))) for _ in range(2)]
    until(lambda: site.live == f"releases/{A}", what="the middle of the takeback")
    assert [boot.poll() for boot in boots] == [None, None]
    (site.base / "go").touch()
    assert [boot.wait(30) for boot in boots] == [0, 0]
    assert [e["event"] for e in events(site)] == ["reverted"]


def test_what_a_takeback_starts_holds_up_no_later_boot(site: Here, deployer: Talk) -> None:
    """What runs on is none of its business, and must not have its lock."""
    switched(site, deployer, undo="setsid sleep 600 >/dev/null 2>&1 </dev/null & echo $! >daemon")
    os.killpg(waiter(site), signal.SIGKILL)  # as a reboot does
    deployer.process.kill()
    deployer.process.wait()
    try:
        for _ in range(2):
            ok(site.run(site.step("boot", started=())))
    finally:
        os.kill(int((site.base / "daemon").read_text()), signal.SIGKILL)


def test_an_arm_that_was_not_in_place_is_no_switch(site: Here, deployer: Talk) -> None:
    """It may not even be whole; nothing is journaled of it."""
    half = site.private / "armed" / "7.new"
    half.mkdir()
    (half / "takeback").write_text("touch pwned; echo 'half a scr")
    ok(deployer.run(steps.settle(site.layout, '{"who":"ben"')))
    assert (events(site), half.exists(), site.live) == ([], False, f"releases/{A}")


def test_a_switch_is_not_armed_on_what_nobody_surveyed(site: Here, deployer: Talk) -> None:
    """75: somebody has changed ``current`` since."""
    site.publish(B, A)
    assert deployer.run(arm(site)).code == 75
    assert os.listdir(site.private / "armed") == []


def test_a_first_release_is_unpublished_when_it_is_not_confirmed(here: Here) -> None:
    """Back to nothing."""
    here.release(B)
    switch = Switch(here.layout.root, 1, B, None)
    publish = steps.publish(here.layout, B, None)
    plan = Plan("deploy", 1, B, None, {"web1": (steps.arm(switch), publish)})
    with here.session() as talk:
        for step in (armed(plan, "web1", steps.arm(switch), switch), publish, here.step("takeback")):
            ok(talk.run(step))
    assert here.live == ""
    assert [(e["event"], e["to"]) for e in events(here)] == [("reverted", "")]


def test_the_boot_of_the_app_settles_too_unless_a_deploy_is_at_work(site: Here, deployer: Talk) -> None:
    """Then it is in good hands, and the app starts."""
    switched(site, deployer)
    os.killpg(waiter(site), signal.SIGKILL)  # as a reboot does
    ok(site.run(site.step("boot", started=())))
    assert site.live == f"releases/{B}"
    deployer.process.kill()
    deployer.process.wait()
    until(lambda: ok(site.run(site.step("boot", started=()))) and site.live == f"releases/{A}", what="the old release")
    assert [e["event"] for e in events(site)] == ["reverted"]


def test_boot_does_nothing_where_nothing_was_ever_deployed(tmp_path: Path, here: Here) -> None:
    """The unit may be there before the first deploy."""
    script = Step("boot", {"root": tmp_path / "elsewhere", "started": ()}, "")
    ran = here.run(script)
    assert (ran.code, ran.err, (tmp_path / "elsewhere").exists()) == (0, "", False)


def test_a_waiting_process_meets_no_stranger_with_its_number(site: Here, deployer: Talk) -> None:
    """Numbers are given again: what does not wait for us is left alone."""
    switched(site, deployer)
    stranger = site.start("sleep", "60")
    (site.private / "armed" / "7" / "pid").write_text(str(stranger.pid))
    for step in (steps.confirm(site.layout, 7), steps.finish(site.layout, 7)):
        ok(deployer.run(step))
    assert stranger.poll() is None


def test_an_arm_that_fits_many_processes_fits_one_argument(site: Here) -> None:
    """Linux takes 128 KiB at most, and a session runs each script as one."""
    systemd = {"kind": "systemd", "command": "serve", "listen": "127.0.0.1:8000", "health": "/health"}
    every = {f"web-{i}": {**systemd, "listen": f"127.0.0.1:80{i:02}"} for i in range(8)}
    switch = Switch(site.layout.root, 7, B, A)
    found = kinds(config(root=site.root, processes=every))
    run = (*(s for k in found for s in k.before(switch)), *(s for k in found for s in k.finish(switch)))
    plan = Plan("deploy", 7, B, A, {"web1": (steps.arm(switch), *run)})
    assert len(render(armed(plan, "web1", steps.arm(switch), switch))) < 100_000
