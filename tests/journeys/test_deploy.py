"""A deploy and a rollback, end to end over a real sshd."""

import os
import shutil
from pathlib import Path

import pytest

from tests.app import App
from tests.sshd import Sshd

pytestmark = pytest.mark.journey


def test_a_first_deploy_makes_the_site_live_and_proven(app: App) -> None:
    """P1, P3."""
    result = app.deploy("v1", "--json")
    assert app.live == "v1"
    assert result.events[-1]["outcome"] == "live"
    assert [event["event"] for event in app.journal if event["event"] in ("deploy", "live")] == ["deploy", "live"]


def test_a_second_deploy_sends_only_what_changed(app: App) -> None:
    """What is the same is a hard link."""
    (app.folder / "big").write_bytes(b"x" * 100_000)
    app.deploy("v1")
    sent = next(event for event in app.deploy("v2", "--json").events if event["event"] == "sent")
    assert sent["bytes"] == 2
    first, second = (app.root / "releases" / name / "big" for name in app.releases)
    assert first.stat().st_ino == second.stat().st_ino


def test_what_would_not_shrink_is_sent_as_it_is(app: App, tmp_path: Path) -> None:
    """And what is the same is linked, as ever."""
    bin, log, video = tmp_path / "bin", tmp_path / "log", os.urandom(3 << 20)
    bin.mkdir()
    (bin / "tar").write_text(f'#!/bin/sh\necho "$1" >>{log}\nexec {shutil.which("tar")} "$@"\n')
    (bin / "tar").chmod(0o755)
    with Sshd(environment={"PATH": f"{bin}:{os.environ['PATH']}", "HOME": str(tmp_path)}) as logging:
        (app.home / ".ssh" / "config").write_text(logging.ssh_config.read_text())
        app.address = logging.address
        app.configure()
        (app.folder / "video").write_bytes(video)
        app.deploy("v1")
        app.deploy("v2")
        assert log.read_text().split() == ["-xpof", "-xzpof"]
        first, second = (app.root / "releases" / name / "video" for name in app.releases)
        assert (first.read_bytes() == video, first.stat().st_ino) == (True, second.stat().st_ino)
        assert app.run("verify").code == 0


def test_deploying_what_is_live_changes_nothing(app: App) -> None:
    """``already_live``."""
    app.deploy("v1")
    before = app.releases, app.journal
    result = app.deploy("v1", "--json")
    assert result.events[-1]["outcome"] == "already_live"
    assert (app.releases, app.journal) == before


def test_a_rollback_goes_back_and_marks_what_it_left(app: App) -> None:
    """The next rollback goes further back, not forth again."""
    for version in ("v1", "v2", "v3"):
        app.deploy(version)
    assert app.run("rollback").code == 0
    assert app.live == "v2"
    assert app.run("rollback").code == 0
    assert app.live == "v1"
    assert app.run("rollback").code == 10


def test_a_dry_run_changes_nothing_and_names_every_step(app: App) -> None:
    """P11."""
    app.write("v1")
    result = app.run("deploy", "--dry-run")
    assert result.code == 0
    assert [word for word in ("stage", "send", "arm", "publish", "prove", "confirm") if word not in result.out] == []
    assert list(app.root.iterdir()) == []


def test_a_deploy_uses_one_connection_and_at_most_eight_channels(app: App, sshd: Sshd) -> None:
    """The budget of DESIGN 4."""
    app.deploy("v1")
    connections, sessions = sshd.connections(), sshd.sessions()
    app.deploy("v2")
    assert sshd.connections() - connections == 1
    assert sshd.sessions() - sessions <= 8


def test_verify_compares_the_live_release_or_one_by_name(app: App) -> None:
    """And says what differs, with exit 10."""
    app.deploy("v1")
    (name,) = app.releases
    whole = app.run("verify")
    host = app.address.partition("@")[2]
    assert (whole.code, whole.out, whole.err) == (0, f"{host}: {name} is what was built\n", "")
    assert app.run("verify", "--release", name).code == 0
    (app.root / "releases" / name / "version").chmod(0o755)
    found = app.run("verify", "--release", name)
    why = f"{name} is not what was built: version has another mode"
    assert (found.code, found.out, found.err) == (10, f"{host}: {why}\n", f"switchover: {host}: {why}\n")
    answer, outcome = app.run("verify", "--json").events
    assert (answer["release"], answer["whole"], outcome["release"]) == (name, False, name)


def test_prune_removes_what_has_expired_and_says_when_nothing_has(app: App) -> None:
    """Not only at the end of a deploy."""
    for version in ("v1", "v2", "v3"):
        app.deploy(version)
    assert "nothing has expired" in app.run("prune").err
    app.configure("[keep]\nreleases = 2\n")
    gone, *left = app.releases
    result = app.run("prune")
    assert (result.code, app.releases) == (0, left), result.err
    assert f"remove {gone}" in result.err
    assert app.run("status", "--json").events[0]["hosts"][0]["note"] == ""


def test_exec_answers_on_stdout_with_what_the_command_prints(app: App) -> None:
    """Its errors go to stderr, as ssh has it; a command that fails ends it with its reason."""
    app.deploy("v1")
    result = app.run("exec", "cat version; echo; echo a=b; echo oops >&2")
    assert (result.code, result.out) == (0, "v1\na=b\n"), result.err
    assert "oops" in result.err
    failed = app.run("exec", "echo said; exit 3")
    assert (failed.code, failed.out) == (11, "said\n")
    assert failed.err == f"switchover: {app.address.partition('@')[2]}: exec failed: `echo said; exit 3`: exit 3\n"


def test_exec_answers_programs_line_by_line(app: App) -> None:
    """``--json``."""
    app.deploy("v1")
    events = app.run("exec", "cat version; echo; echo oops >&2", "--json").events
    assert [event["line"] for event in events if event["event"] == "answer"] == ["v1"]
    assert [event["line"] for event in events if event["event"] == "said"] == ["oops"]
    assert (events[-1]["event"], events[-1]["outcome"]) == ("outcome", "done")


def test_a_first_deploy_that_is_refused_leaves_only_its_lock(app: App) -> None:
    """Nothing was changed, it says."""
    app.configure('[shared]\nfiles = [".env"]\n')
    app.write("v1")
    assert app.run("deploy").code == 10
    assert [path.name for path in app.root.iterdir()] == [".switchover"]
    assert {path.name for path in (app.root / ".switchover").iterdir()} <= {"lock", "lock.info"}


def test_what_was_damaged_on_the_host_is_sent_instead_of_linked(app: App) -> None:
    """Damage must not spread from release to release: a byte of a file that is the same in both."""
    (app.folder / "page").write_text("one")
    app.deploy("v1")
    (first,) = app.releases
    page = app.root / "releases" / first / "page"
    page.chmod(0o644)
    page.write_text("two")
    page.chmod(0o444)
    result = app.deploy("v2")
    assert f"{first} is not what it was: nothing is linked from it" in result.err
    assert (app.root / "current" / "page").read_text() == "one"
    assert page.read_text() == "two", "what was damaged is left as it was found"
    assert app.run("verify").code == 0
