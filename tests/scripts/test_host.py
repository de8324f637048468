"""survey and setup: what a host says of itself, and what it needs."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from releases import steps
from releases.facts import Facts
from releases.history import line
from releases.setup import setup
from tests.app import until
from tests.hosts import config
from tests.scripts.running import A, B, C, Here


def survey(here: Here, root: Path | None = None) -> Facts:
    """What the survey of a static site with a shared file says."""
    settings = config(root=root or here.root, shared={"files": [".env", "etc/key"], "dirs": ["media"]})
    here.own()
    ran = here.run(steps.survey(settings, ()))
    assert (ran.code, ran.err) == (0, "")
    return Facts.of("web1", ran.answer, now=datetime.now(UTC))


def test_a_root_that_is_missing_or_a_file_is_told(here: Here) -> None:
    """And nothing else is asked."""
    missing = survey(here, here.base / "nowhere")
    assert (missing.answer.one("root"), missing.complete, missing.uid) == ("missing", (), os.getuid())
    (here.base / "file").touch()
    assert survey(here, here.base / "file").answer.one("root") == "file"


def test_a_root_that_one_may_not_write_is_told(account: Here) -> None:
    """By who asks."""
    assert survey(account).answer.one("root") == "ok"
    account.root.chmod(0o555)
    assert survey(account).answer.one("root") == "readonly"
    account.root.chmod(0o755)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("uid=33(www-data) gid=7(lp) groups=7(lp),33(www-data)", ("33", "www-data", "lp")),
        ("uid=1234 gid=5678 groups=5678", ("1234", "1234", "5678")),
        ("uid=0(root) gid=0(root)", ("0", "root", "root")),
        ("uid=12(a.b-c) gid=34 groups=34 context=unconfined_u:unconfined_r", ("12", "a.b-c", "34")),
    ],
)
def test_who_asks_is_told_by_name_or_by_number(here: Here, said: str, told: tuple[str, str, str]) -> None:
    """Also where ``id`` complains that a group has no name."""
    tools = here.base / "other"
    tools.mkdir()
    (tools / "id").write_text(f"#!/bin/sh\necho '{said}'\nexit 1\n")
    (tools / "id").chmod(0o755)
    here.path = f"{tools}:{here.path}"
    answer = survey(here).answer
    assert tuple(answer.one(key) for key in ("uid", "user", "group")) == told


def test_a_survey_tells_all_that_a_plan_is_decided_from(here: Here) -> None:
    """Releases, debris, arms, pins, shared files that are missing, space, tools, the clock."""
    here.release(A)
    here.release(B, complete=False)
    here.publish(A)
    (here.private / "armed" / "3").mkdir()
    (here.private / "pins").write_text(f"{A}\n")
    (here.root / "shared" / ".env").touch()
    facts = survey(here)
    assert (facts.live, facts.live_kind, facts.complete, facts.debris) == (A, "link", (A,), (B.name,))
    assert (facts.armed, facts.pins, facts.missing) == (("3",), frozenset({A}), ("etc/key",))
    assert {"tar", "gzip", "sha256sum"} <= facts.tools
    assert facts.free_bytes > 0
    assert str(here.root.stat().st_ino) in facts.identity
    assert (abs(facts.clock_skew_s) < 30, facts.locked, facts.uid) == (True, False, os.getuid())


def test_a_survey_never_forgets_what_was_deployed_and_what_became_of_the_schema(here: Here) -> None:
    """P8: a rollback is judged by the order of all deploys, however many there were since."""
    began = {"event": "deploy", "deploy": 1, "release": A.name}
    ran = {"event": "migrated", "deploy": 1, "release": A.name, "phase": "contract", "names": ["drop"]}
    later = [
        {"event": name, "deploy": n, "release": B.name} for n in range(2, 500) for name in ("deploy", "live", "failed")
    ]
    (here.private / "journal.jsonl").write_text("".join(f"{line(e)}\n" for e in (began, ran, *later)))
    history = survey(here).history
    assert history.first_deploy(A) == began
    assert history.beyond(B) == ""
    assert history.beyond(C) == "drop"


def test_a_current_that_is_no_link_to_a_release_is_told(here: Here) -> None:
    """Nothing, a link to nothing, a link elsewhere, a directory."""
    current = here.root / "current"

    def told() -> tuple[str, object, str]:
        facts = survey(here)
        return facts.live_kind, facts.live, facts.live_text

    assert told() == ("missing", None, "")
    current.symlink_to(f"releases/{C}")
    assert told() == ("broken", C, f"releases/{C}")
    current.unlink()
    current.symlink_to(here.base)
    assert told() == ("link", None, str(here.base))
    current.unlink()
    current.mkdir()
    assert told()[0] == "other"


def test_a_journal_that_was_torn_is_read_around(here: Here) -> None:
    """Half a line, and the zeros that a power cut leaves."""
    lines = b'{"event":"deploy","deploy":4}\n{"event":"li\n\0\0\0\n{"event":"step","step":"x"}\n'
    (here.private / "journal.jsonl").write_bytes(lines + b'{"event":"live","deploy":5}\n')
    assert [event["event"] for event in survey(here).history.events] == ["deploy", "live"]


def test_who_holds_the_lock_is_told(here: Here) -> None:
    """To a session that only reads."""
    with here.session() as talk:
        talk.run(steps.settle(here.layout, '{"who":"ana \\\\u00e9 \\\\n"'))
        facts = survey(here)
        assert (facts.locked, json.loads(facts.holder)["pid"]) == (True, talk.process.pid)
        assert json.loads(facts.holder)["who"] == "ana \\u00e9 \\n"
    until(lambda: not survey(here).locked, what="the lock")


def test_processes_that_use_a_release_are_named_with_it(here: Here, tmp_path: Path) -> None:
    """By their working directory, their program, their words or their environment."""
    for release in (A, B):
        here.release(release)
    inside, outside = here.root / "releases" / A.name, "/"
    by_cwd = here.start("sleep", "61", cwd=inside)
    by_word = here.start("/bin/sh", "-c", 'sleep 62; : "$1"', "sh", f"{here.root}/releases/{B}/app.py", cwd=outside)
    by_environment = here.start("sleep", "63", cwd=outside, PYTHONPATH=f"{here.root}/releases/{B}/lib")
    stranger = here.start("sleep", "64", cwd=outside)

    def found() -> dict[int, tuple[frozenset[str], str]]:
        running = survey(here).running
        return {p.pid: (frozenset(map(str, p.uses)), str(p.release or "")) for p in running}

    wanted = {
        by_cwd.pid: (frozenset({A.name}), A.name),
        by_word.pid: (frozenset({B.name}), ""),
        by_environment.pid: (frozenset({B.name}), ""),
    }
    until(lambda: wanted.items() <= found().items(), what="three processes")
    assert stranger.pid not in found()
    one = next(p for p in survey(here).running if p.pid == by_cwd.pid)
    assert (one.command, one.parent, one.age_s < 60) == ("sleep", os.getpid(), True)


def test_setup_of_a_static_site_makes_directories_and_what_settles_at_boot(here: Here) -> None:
    """Done twice it changes nothing, and nothing is left for root to do."""
    root = here.base / "srv" / "other"
    settings = config(root=root, shared={"dirs": ["media", "var/cache"]})
    facts = replace(survey(here), answer=survey(here, root).answer)
    for _ in range(2):
        ran = here.run(setup(settings, facts))
        assert (ran.code, ran.answer.all("need"), ran.err) == (0, (), "")
    assert sorted(path.name for path in root.iterdir()) == [".switchover", "releases", "shared"]
    assert (root / "shared" / "var" / "cache").is_dir()
    assert (root / ".switchover").stat().st_mode & 0o777 == 0o700
    assert here.run((root / ".switchover" / "boot").read_text()).code == 0
    assert survey(here, root).answer.one("root") == "ok"


def test_setup_tells_what_only_root_can_do(account: Here) -> None:
    """And does none of it."""
    account.root.parent.chmod(0o555)
    facts = survey(account)
    settings = config(root=account.root.parent / "fresh")
    needs = account.run(setup(settings, facts)).answer.all("need")
    assert len(needs) == 1
    assert needs[0].startswith("sudo install -d -o ")
    assert needs[0].endswith(f" {settings.root}")
    account.root.chmod(0o555)
    needs = account.run(setup(config(root=account.root), facts)).answer.all("need")
    assert needs == (f"sudo chown {facts.answer.one('user')} {account.root}",)
    account.root.chmod(0o755)


def test_nothing_of_a_survey_is_written(here: Here) -> None:
    """A plan with ``--dry-run`` changes nothing."""
    here.release(A)
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in here.root.rglob("*"))
    survey(here)
    assert sorted((str(path), path.lstat().st_mtime_ns) for path in here.root.rglob("*")) == before
