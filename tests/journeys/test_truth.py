"""What a command says at its end is what is true on the host, and the next one can go on."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.app import REPOSITORY, App, until
from tests.refusal import refused, told

pytestmark = pytest.mark.journey
SCHEMA = """
[migrations]
kind = "command"
pending = "cat pending"
expand = "cat expand | sh"
contract = "cat contract | sh"
"""


def migrating(app: App, **files: str) -> None:
    """A site whose release says in files what its migrations are."""
    app.configure(SCHEMA)
    for name in ("pending", "expand", "contract"):
        (app.folder / name).write_text(files.get(name, "true\n" if name != "pending" else ""))


def test_what_could_not_be_taken_back_is_told_and_stays_armed(app: App) -> None:
    """13, and not that nothing was switched; whoever mends it needs no other command than the next one."""
    app.deploy("v1")
    app.configure(f'[hooks]\nafter_switch = ["rm {app.root}/current; mkdir {app.root}/current; false"]\n')
    app.write("v2")
    result = app.run("deploy", "--json")
    assert (result.code, result.events[-1]["outcome"]) == (13, "partial"), result.err
    assert list(result.events[-1]["hosts"].values()) == ["live: nothing, could not be taken back"]
    (app.root / "current").rmdir()
    app.configure()
    app.deploy("v2")
    assert app.live == "v2"


def test_a_release_that_was_removed_by_hand_keeps_no_later_command_from_its_work(app: App) -> None:
    """P2: the deploy over it fails and is taken back; nothing has to be repaired before the next."""
    app.deploy("v1")
    shutil.rmtree(app.root / "releases" / app.releases[0])
    app.configure('[hooks]\nafter_switch = ["false"]\n')
    app.write("v2")
    told(app.run("deploy"), code=12, says=("127.0.0.1:", "after_switch failed"))
    app.configure()
    app.deploy("v2")
    assert app.live == "v2"


@pytest.mark.parametrize("form", ["absolute", "slash"])
def test_prune_does_not_judge_what_is_live_by_a_link_that_is_not_ours(app: App, form: str) -> None:
    """P6: somebody has set it by hand, and means it."""
    for version in ("v1", "v2", "v3"):
        app.deploy(version)
    first = app.releases[0]
    (app.root / "current").unlink()
    target = f"{app.root}/releases/{first}" if form == "absolute" else f"releases/{first}/"
    (app.root / "current").symlink_to(target)
    app.configure("[keep]\nreleases = 1\n")
    refused(app, "prune", says=("127.0.0.1:", "which is none of our releases"), hint="move it away")
    assert app.live == "v1"


def test_a_release_by_name_brings_its_migrations(app: App) -> None:
    """P7: it was made complete by a deploy whose expand migration then failed."""
    app.deploy("v0")
    migrating(app, pending="expand add\n", expand="test -e ../../shared/ready && : >pending\n")
    (app.root / "shared" / "ready").touch()
    (app.folder / "expand").write_text("test -e ../../shared/ready && touch ../../shared/added && exit 0; exit 1\n")
    app.configure(SCHEMA.replace("cat pending", "test -e ../../shared/added || cat pending"))
    (app.root / "shared" / "ready").unlink()
    app.write("v1")
    told(app.run("deploy"), code=11, says=("expand failed",))
    (app.root / "shared" / "ready").touch()
    result = app.run("deploy", "--release", app.releases[-1])
    assert result.code == 0, result.err
    assert (app.live, (app.root / "shared" / "added").exists()) == ("v1", True)


def test_a_release_by_name_never_goes_below_a_contract_migration(app: App) -> None:
    """P8: like a rollback, and for the same reason."""
    app.deploy("v1")
    migrating(app, pending="contract drop\n")
    app.deploy("v2")
    app.configure(SCHEMA.replace("cat pending", "test -e ../../shared/dropped || cat pending"))
    (app.folder / "contract").write_text("touch ../../shared/dropped\n")
    app.deploy("v3")
    result = app.run("contract")
    assert result.code == 0, result.err
    says = ("127.0.0.1:", "contract migration drop has run since")
    refused(app, "deploy", "--release", app.releases[0], says=says, hint="still safe: ")
    refused(app, "rollback", "--to", app.releases[0], says=says, hint=f"still safe: {app.releases[1]}")


def test_migrations_that_ran_before_a_failure_are_named(app: App) -> None:
    """Whatever failed: expand itself, or what came behind it."""
    app.deploy("v1")
    listing = "for m in add more; do test -e ../../shared/$m || echo expand $m; done"
    migrating(app, expand="touch ../../shared/add; exit 4\n")
    app.configure(SCHEMA.replace("cat pending", listing))
    app.write("v2")
    told(app.run("deploy"), code=11, says=("expand failed", "expand migrations ran: add"))
    (app.folder / "expand").write_text("touch ../../shared/more\n")
    app.configure(SCHEMA.replace("cat pending", listing) + '[hooks]\nafter_switch = ["false"]\n')
    told(app.run("deploy"), code=12, says=("after_switch failed", "expand migrations ran: more"))


def test_no_pause_is_a_pause_too(app: App) -> None:
    """``settle_s = 0``."""
    app.configure(settle_s=0)
    app.deploy("v1")
    assert app.live == "v1"


def test_a_reload_that_is_taken_back_is_told_the_release_that_it_goes_back_to(app: App) -> None:
    """In NEW_RELEASE, as it is told the new one."""
    app.configure(
        '[processes.web]\nkind = "command"\nprove = "cat ../../shared/runs"\n'
        'reload = "basename $NEW_RELEASE >../../shared/runs; echo $NEW_RELEASE $OLD_RELEASE >>../../shared/told"\n'
        'health = { url = "http://127.0.0.1:9/", wait_s = 0.5 }\n'
    )
    text = (app.folder / "deploy.toml").read_text()
    (app.folder / "deploy.toml").write_text(text.replace("health = {", "#"))
    app.deploy("v1")
    (app.folder / "deploy.toml").write_text(text)
    app.write("v2")
    told(app.run("deploy"), code=12, says=("web: http://127.0.0.1:9/ did not answer",))
    one, two = (f"{app.root}/releases/{name}" for name in app.releases)
    assert (app.root / "shared" / "told").read_text().splitlines() == [one, f"{two} {one}", f"{one} {two}"]


def test_a_prove_that_hangs_keeps_nobody_from_looking_or_going_back(app: App) -> None:
    """The survey does not ask it."""
    server = '[processes.web]\nkind = "command"\nreload = "true"\nprove = "{}"\n'
    for version in ("v1", "v2"):
        app.configure(server.format("pwd -P"))
        app.deploy(version)
    app.configure(server.format("test -e ../../shared/back || exec sleep 600; pwd -P"))
    assert app.run("status", limit_s=20).code == 0
    (app.root / "shared" / "back").touch()
    assert app.run("rollback", limit_s=20).code == 0
    assert app.live == "v1"


def test_what_a_hook_started_is_not_in_the_way_of_contract(app: App) -> None:
    """It was told of the old release, which is no use of it."""
    migrating(app)
    app.deploy("v1")
    daemon = "cd ../../shared; setsid sleep 60 </dev/null >/dev/null 2>&1 & echo $! >pid"
    app.configure(f'{SCHEMA}[hooks]\nafter_switch = ["{daemon}"]\n')
    app.deploy("v2")
    pid = int((app.root / "shared" / "pid").read_text())
    try:
        result = app.run("contract")
        assert result.code == 0, result.err
    finally:
        os.kill(pid, 9)


def test_hooks_of_the_controller_leave_json_alone_and_have_a_limit(app: App) -> None:
    """Their output is for people; one that hangs must not hold the lock for ever."""
    app.configure('[hooks]\ntimeout_s = 1\n[hooks.local]\nbefore_switch = ["echo {not json"]\n')
    result = app.deploy("v1", "--json")
    assert all(line.startswith('{"event"') for line in result.out.splitlines())
    assert "{not json" in [event.get("line") for event in result.events]
    app.configure('[hooks]\ntimeout_s = 1\n[hooks.local]\nbefore_switch = ["sleep 600"]\n')
    app.write("v2")
    told(app.run("deploy"), code=11, says=("local before_switch: `sleep 600` was not done after 1 s",))
    assert app.live == "v1"


def test_hooks_change_no_other_release(app: App) -> None:
    """What they chmod or append to is nobody else's: where commands run, files are copies."""
    app.deploy("v1")
    app.configure('[hooks]\nbefore_switch = ["chmod u+w version2; echo more >>version2; chmod 0755 version2"]\n')
    (app.folder / "version2").write_text("same\n")
    app.configure()
    app.deploy("v2")
    app.configure('[hooks]\nbefore_switch = ["chmod u+w version2; echo more >>version2; chmod 0755 version2"]\n')
    app.deploy("v3")
    assert (app.root / "current" / "version2").read_text() == "same\nmore\n"
    assert app.run("verify", "--release", app.releases[1]).code == 0


def test_a_step_of_the_team_behind_the_confirm_that_fails_is_a_warning(app: App) -> None:
    """Nobody can take that switch back any more; but nothing is kept quiet either."""
    recipe = app.folder / "tasks.py"
    shutil.copy(REPOSITORY / "tasks.py", recipe)
    edit = 'plan = plan.after("confirm", command("false"))\n        hosts.carry(plan'
    recipe.write_text(recipe.read_text().replace("hosts.carry(plan", edit, 1))
    result = app.deploy("v1")
    assert "warning: 127.0.0.1:" in result.err
    assert app.live == "v1"


def test_an_undo_that_hangs_can_be_unlocked(app: App) -> None:
    """P5: by `unlock`, which finds who holds the lock, and ends what that runs."""
    recipe = app.folder / "tasks.py"
    shutil.copy(REPOSITORY / "tasks.py", recipe)
    undo = 'command("true", undo="[ -e ../../shared/go ] || exec sleep 600")'
    text = recipe.read_text()
    edit = f'plan = plan.after("arm", {undo}).after("publish", command("sleep 600"))\n        hosts.carry(plan'
    recipe.write_text(text.replace("hosts.carry(plan", edit, 1))
    process = app.start("deploy")
    until(lambda: any(e.get("step") == "sleep" for e in app.journal), what="the step that hangs")
    process.kill()
    process.communicate()
    until(lambda: "dead man" in (app.root / ".switchover" / "lock.info").read_text(), what="the dead man's switch")
    asked = app.run("unlock")
    assert (asked.code, "the dead man's switch" in asked.out) == (10, True), asked.err
    (app.root / "shared" / "go").touch()
    ended = app.run("unlock", "--yes")
    assert ended.code == 0, ended.err
    recipe.write_text(text)
    app.deploy("v2")
    assert app.live == "v2"


@pytest.mark.parametrize("as_json", [True, False])
def test_a_deploy_that_nobody_listens_to_any_more_goes_on(app: App, as_json: bool) -> None:
    """``inv deploy --json | head -1``: its exit code is that of what it did."""
    app.write("v1")
    process = app.start("deploy", *(["--json"] if as_json else []))
    heard, other = (process.stdout, process.stderr) if as_json else (process.stderr, process.stdout)
    assert heard
    assert other
    heard.readline()
    heard.close()
    assert (other.read(), process.wait(60), app.live) == ("", 0, "v1")
    other.close()
    assert {"live", "failed"} & {event["event"] for event in app.journal} == {"live"}


def test_an_answer_that_a_full_disk_does_not_take_is_told(app: App) -> None:
    """74, and one line; that nobody reads to the end is none of our business."""
    app.deploy("v1")
    for pipe, code, said in (("| true", 0, 0), (">/dev/full", 74, 1)):
        command = f"set -o pipefail; {sys.executable} -m releases releases {pipe}"
        ran = subprocess.run(["bash", "-c", command], cwd=app.folder, env=app.environ, capture_output=True, text=True)
        assert (ran.returncode, len(ran.stderr.splitlines())) == (code, said), ran.stderr
