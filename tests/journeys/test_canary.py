"""A canary that waits for somebody's word; here on one of three roots behind one sshd."""

import json
from pathlib import Path

import pytest

from tests.journeys.test_fleet import FAILS, NAMES, Fleet
from tests.refusal import told
from tests.sshd import Sshd

pytestmark = pytest.mark.journey
HOLD = 'kind = "canary"\nhold = true\nwatch_s = 0'


@pytest.fixture
def fleet(sshd: Sshd, tmp_path: Path) -> Fleet:
    """v1 is live on three roots, and v2 on the first of them, which is its canary; the client has ended."""
    found = Fleet(tmp_path / "shop", tmp_path / "srv", sshd.address, sshd.ssh_config, strategy=HOLD)
    first = found.deploy("v1")
    assert "none is held" in first.err
    found.write("v2")
    result = found.run("deploy", "--json")
    last = result.events[-1]
    assert (result.code, last["outcome"]) == (13, "partial"), result.err
    assert [word.partition(", ")[2] for word in last["hosts"].values()] == [
        "canary",
        f"{last['release']} is ready",
        f"{last['release']} is ready",
    ]
    assert found.each == ["v2", "v1", "v1"]
    return found


def notes(fleet: Fleet) -> list[str]:
    """What `status` says of each."""
    result = fleet.run("status", "--json")
    return [row["note"] for event in result.events if event["event"] == "answer" for row in event["hosts"]]


def test_a_canary_waits_and_is_promoted(fleet: Fleet) -> None:
    """It survives its client; until then nothing else is switched, and nothing it needs is removed."""
    assert ["canary of" in note for note in notes(fleet)] == [True, False, False]
    assert ["is ready" in note for note in notes(fleet)] == [False, True, True]
    told(fleet.run("deploy"), code=10, says=("the canary of ", "waits on "), hint="inv deploy --promote")
    assert fleet.run("prune").code == 0
    shown = fleet.run("deploy", "--promote", "--dry-run")
    assert (shown.code, fleet.each) == (0, ["v2", "v1", "v1"])
    result = fleet.run("deploy", "--promote", "--json")
    assert (result.code, fleet.each) == (0, ["v2"] * 3), result.err
    steps = [event["step"] for event in result.events if event.get("state") == "begin"]
    assert steps.index("settled") < steps.index("publish"), "the canary is proven again first"
    assert not {"send", "expand"}.intersection(steps)
    assert notes(fleet) == [""] * 3
    told(fleet.run("deploy", "--promote"), code=10, says=("no canary waits",), hint="hold = true")


def test_a_canary_whose_promotion_fails_waits_on_and_is_aborted(fleet: Fleet) -> None:
    """What was promoted goes back first; the canary then, and no rollback ever returns to it."""
    fleet.configure(f'[hooks]\nafter_switch = ["{FAILS.format("three")}"]\n')
    told(fleet.run("deploy", "--promote"), code=12, says=("/three: after_switch failed",))
    assert fleet.each == ["v2", "v1", "v1"]
    assert ["canary" in note for note in notes(fleet)] == [True] * 3
    fleet.configure()
    result = fleet.run("deploy", "--abort-canary")
    assert (result.code, fleet.each) == (0, ["v1"] * 3), result.err
    assert notes(fleet) == [""] * 3
    for name in NAMES:
        lines = (fleet.root / name / ".switchover" / "journal.jsonl").read_text().splitlines()
        assert [e["canary"] for e in map(json.loads, lines) if e["event"] == "aborted"] == [2]
    rows = [row for e in fleet.run("releases", "--json").events if e["event"] == "answer" for row in e["releases"]]
    assert sorted(row["state"] for row in rows) == ["bad"] * 3 + ["live, proven"] * 3
    fleet.write("v3")
    assert fleet.run("deploy").code == 13
    assert fleet.each == ["v3", "v1", "v1"]
