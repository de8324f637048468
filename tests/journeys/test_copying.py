"""A release that some host lacks is brought there from one that has it; here three roots behind one sshd."""

import json
import os
from pathlib import Path

import pytest

from tests.journeys.test_fleet import NAMES, Fleet, strategy
from tests.refusal import told
from tests.sshd import Sshd

pytestmark = pytest.mark.journey
PREPARED = '[shared]\ndirs = ["media"]\n[prepare]\ncommands = ["pwd >made-here"]\n'


@pytest.fixture
def fleet(sshd: Sshd, tmp_path: Path) -> Fleet:
    """v1 is live on three roots, v2 on all but the third; what is shipped has a link and names that are hard."""
    found = Fleet(tmp_path / "shop", tmp_path / "srv", sshd.address, sshd.ssh_config)
    strategy(found, "", PREPARED)
    found.deploy("v1")
    for name in ("it's $(a)", "two\nlines", os.fsdecode(b"\xff")):
        (found.folder / name).write_text(name, errors="surrogateescape")
    (found.folder / "empty").touch()
    (found.folder / "link").symlink_to("it's $(a)\n")
    (found.folder / "large").write_bytes(os.urandom(3 << 20))
    found.deploy("v2", "--without", "three")
    return found


def live(fleet: Fleet, name: str) -> Path:
    """The directory that is live in one root."""
    return (fleet.root / name / "current").resolve()


def same(fleet: Fleet, one: str, other: str) -> None:
    """What is live in two roots is the same, each prepared where it lies."""
    trees = [live(fleet, name) for name in (one, other)]
    seen = [{str(path.relative_to(tree)) for path in tree.rglob("*")} for tree in trees]
    assert seen[0] == seen[1]
    for path in sorted(seen[0] - {"made-here", "media"}):
        there = [tree / path for tree in trees]
        assert there[0].is_symlink() == there[1].is_symlink()
        found = [p.readlink() if p.is_symlink() else p.is_file() and p.read_bytes() for p in there]
        assert found[0] == found[1], path
    assert [(tree / "made-here").read_text() for tree in trees] == [f"{tree}\n" for tree in trees]
    assert (trees[1] / "media").resolve() == fleet.root / other / "shared" / "media"


def test_a_release_by_name_comes_from_a_host_that_has_it(fleet: Fleet) -> None:
    """All of what was shipped, and nothing of what `prepare` made there."""
    release = live(fleet, "one").name
    result = fleet.run("deploy", "--release", release)
    assert (result.code, fleet.each) == (0, ["v2"] * 3), result.err
    assert ", from " in result.err
    same(fleet, "one", "three")
    assert fleet.run("verify").code == 0


def test_a_copy_that_was_damaged_where_it_lies_is_not_taken(fleet: Fleet) -> None:
    """11, with the name of the host and of the file; nothing was switched."""
    large = live(fleet, "one") / "large"
    large.chmod(0o644)
    large.write_bytes(b"x" * (3 << 20))
    result = fleet.run("deploy", "--release", large.parent.name, "--host", "three,one")
    assert (result.code, fleet.each) == (11, ["v2", "v2", "v1"]), result.err
    assert "/one: " in result.err
    assert "is not what was built: large has other bytes" in result.err


def test_a_rollback_brings_its_target_to_who_lacks_it(fleet: Fleet) -> None:
    """To the newest that was proven anywhere, and what is left is bad everywhere."""
    second = live(fleet, "one").name
    (fleet.folder / "large").unlink()
    fleet.deploy("v3")
    result = fleet.run("rollback")
    assert (result.code, fleet.each) == (0, ["v2"] * 3), result.err
    same(fleet, "two", "three")
    lines = (fleet.root / "three" / ".switchover" / "journal.jsonl").read_text().splitlines()
    heard = [event for event in map(json.loads, lines) if event["event"] == "elsewhere"]
    assert [(e["deploy"], e["made_live"], [n.rpartition("/")[2] for n in e["without"]]) for e in heard] == [
        (2, second, ["three"])
    ]
    told(fleet.run("rollback", "--to", second), code=10, says=("is live already",))
    assert len(NAMES) == 3


def test_a_host_that_was_left_out_joins(fleet: Fleet) -> None:
    """After it hosts are one, and its journal knows what was done without it."""
    fleet.write("v3")  # what is in the project meanwhile does not matter
    plan = fleet.run("join", "three", "--dry-run")
    assert (plan.code, fleet.each) == (0, ["v2", "v2", "v1"]), plan.err
    assert ", from " in plan.out
    result = fleet.run("join", "three", "--json")
    assert (result.code, result.events[-1]["outcome"], fleet.each) == (0, "live", ["v2"] * 3), result.err
    assert fleet.run("status").code == 0
    same(fleet, "one", "three")
    again = fleet.run("join", "three", "--json")
    assert (again.code, again.events[-1]["outcome"]) == (0, "already_live"), again.err
    told(fleet.run("join", "four"), code=2, says=("four is none of the hosts",), hint="--host")
