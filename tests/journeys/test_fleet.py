"""Several hosts in one deploy: all or none, in batches; here three roots behind one sshd."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.app import App, until
from tests.refusal import told
from tests.sshd import Sshd

pytestmark = pytest.mark.journey
NAMES = ("one", "two", "three")
FAILS = "case $NEW_RELEASE in */{}/*) exit 3 ;; esac"


@dataclass
class Fleet(App):
    """A site with a root for each name; `root` holds them."""

    strategy: str = ""

    def configure(self, more: str = "", *, build: str = 'source = "folder"', settle_s: float = 0.1) -> None:
        """Write deploy.toml, with a table of hosts for each name."""
        for name in NAMES:
            (self.root / name).mkdir(exist_ok=True)
        hosts = "".join(f'[hosts.{name}]\nssh = ["{self.address}"]\nroot = "{self.root}/{name}"\n' for name in NAMES)
        (self.folder / "deploy.toml").write_text(
            f'app = "shop"\n{hosts}[build]\n{build}\nexclude = ["deploy.toml", "go"]\n'
            f"[strategy]\nsettle_s = {settle_s}\n{self.strategy}\n{more}"
        )

    def start(self, *words: str, environment: object = None) -> object:  # type: ignore[override]
        """On all of them, unless others are named."""
        hosts = () if "--host" in words or words[0] == "unlock" else ("--host", ",".join(NAMES))
        return super().start(*words, *hosts)

    @property
    def each(self) -> list[str]:
        """The version that is live on each; empty where there is none."""
        return [self.version(self.root / name) for name in NAMES]

    def version(self, root: Path) -> str:
        """The version that is live in one root."""
        file = root / "current" / "version"
        return file.read_text() if file.exists() else ""

    def events(self, name: str, number: int) -> list[str]:
        """What the journal of one says of a deploy, but its steps."""
        lines = (self.root / name / ".switchover" / "journal.jsonl").read_text().splitlines()
        found = map(json.loads, lines)
        return [e["event"] for e in found if e.get("deploy") == number and e["event"] != "step"]


@pytest.fixture
def fleet(sshd: Sshd, tmp_path: Path) -> Fleet:
    """v1 is live on three roots."""
    found = Fleet(tmp_path / "shop", tmp_path / "srv", sshd.address, sshd.ssh_config)
    found.deploy("v1")
    return found


def strategy(fleet: Fleet, text: str, more: str = "") -> None:
    """Give it this strategy."""
    fleet.strategy = text
    fleet.configure(more)


def order(fleet: Fleet, *words: str) -> list[str]:
    """Deploy, and tell in which order the hosts were switched."""
    result = fleet.run("deploy", "--json", *words)
    assert result.code == 0, result.err
    begun = [e for e in result.events if e["event"] == "step" and e["state"] == "begin"]
    return [event["host"].rpartition("/")[2] for event in begun if event["step"] == "publish"]


def test_all_hosts_get_one_release_by_one_id(fleet: Fleet) -> None:
    """And how far apart their swaps were is told."""
    fleet.write("v2")
    result = fleet.run("deploy")
    assert (result.code, fleet.each) == (0, ["v2"] * 3), result.err
    assert len({tuple(sorted(p.name for p in (fleet.root / n / "releases").iterdir())) for n in NAMES}) == 1
    assert "swap skew: " in result.err
    assert fleet.run("status").code == 0


def test_hosts_that_are_down_are_named_together_and_hide_nothing_of_the_others(fleet: Fleet) -> None:
    """`status` and `ps` show the rest, and end with 13; a deploy tells in one go whom to leave out."""
    down = "".join(f'[hosts.{name}]\nssh = ["127.0.0.{n}:1"]\nroot = "/srv/shop"\n' for n, name in ((2, "a"), (3, "b")))
    fleet.configure(down)
    everybody = ("--host", ",".join(("a", *NAMES, "b")))
    says = ("127.0.0.2:1: no SSH", "127.0.0.3:1: no SSH")
    told(fleet.run("deploy", *everybody), code=10, says=says, hint="`--without 127.0.0.2:1,127.0.0.3:1`")
    for verb in ("status", "ps"):
        lines = fleet.run(verb, *everybody).out.splitlines()
        assert [line.split()[0].rpartition("/")[2] for line in lines if "cannot be reached: no SSH" in line] == [
            "127.0.0.2:1", "127.0.0.3:1",
        ]  # fmt: skip
        assert fleet.run(verb, *everybody).code == 13
    rows = fleet.run("status", "--json", *everybody).events[-2]["hosts"]
    assert [row["host"].rpartition("/")[2] for row in rows] == ["127.0.0.2:1", *NAMES, "127.0.0.3:1"]


def test_processes_of_hosts_that_differ_end_ps_with_13(fleet: Fleet) -> None:
    """As `status` does."""
    assert fleet.run("ps").code == 0
    fleet.write("v2")
    assert fleet.run("deploy", "--host", "one,two").code == 0
    assert fleet.run("ps").code == 13


def test_rolling_switches_one_after_the_other(fleet: Fleet) -> None:
    """Those of a group first that comes first, then in the order in which they are named."""
    strategy(fleet, 'kind = "rolling"\ngroups = ["three"]')
    fleet.write("v2")
    assert order(fleet) == ["three", "one", "two"]
    assert fleet.each == ["v2"] * 3


def test_a_canary_goes_first(fleet: Fleet) -> None:
    """By its name; the others follow when it was watched, and the check agrees."""
    name = f"{fleet.address.partition('@')[2]}:{fleet.root}/two"
    strategy(fleet, f'kind = "canary"\nhosts = ["{name}"]\nwatch_s = 1\ncheck = "test -e go"')
    (fleet.folder / "go").touch()
    fleet.write("v2")
    assert order(fleet)[0] == "two"
    (fleet.folder / "go").unlink()
    fleet.write("v3")
    told(fleet.run("deploy"), code=12, says=("strategy.check: `test -e go` failed",))
    assert fleet.each == ["v2"] * 3


def test_a_canary_that_falls_ill_while_it_is_watched_takes_all_back(fleet: Fleet) -> None:
    """12, as soon as it is seen; the others were never switched."""
    web = f'[processes.web]\nkind = "command"\nreload = "true"\nprove = "test -e {fleet.folder}/ill || pwd -P"\n'
    strategy(fleet, 'kind = "canary"\nwatch_s = 90', web)
    fleet.write("v2")
    process = fleet.start("deploy")
    assert any("watching" in line for line in process.stderr)  # type: ignore[attr-defined]
    assert fleet.each == ["v2", "v1", "v1"]
    (fleet.folder / "ill").touch()
    _, said = process.communicate(timeout=60)  # type: ignore[attr-defined]
    assert process.returncode == 12, said  # type: ignore[attr-defined]
    assert "/one: settled failed: web: " in said
    assert fleet.each == ["v1"] * 3


def test_a_host_that_falls_ill_between_two_batches_holds_up_the_next(fleet: Fleet) -> None:
    """min_healthy is never undercut: 12, before the second host is touched; who is ill is named."""
    current = fleet.root / "three" / "current"
    strategy(fleet, f'kind = "rolling"\nmin_healthy = 2\ncheck = "mv {current} {current}.gone"')
    fleet.write("v2")
    why = "strategy.min_healthy: 2 must go on serving, but 1 would beside "
    told(fleet.run("deploy"), code=12, says=(why, "/three)"))
    assert fleet.each == ["v1", "v1", ""]
    assert "reverted" not in fleet.events("two", 2)
    current.with_name("current.gone").rename(current)
    strategy(fleet, 'kind = "rolling"\nmin_healthy = 2')
    assert fleet.run("deploy", "--force").code == 0
    assert fleet.each == ["v2"] * 3


def test_ctrl_c_during_the_check_takes_back_what_was_switched(fleet: Fleet) -> None:
    """12, and what the check has started is ended; not 14, since every host can be asked."""
    strategy(fleet, 'kind = "rolling"\ncheck = "until [ -e go ]; do sleep 0.05; done"')
    fleet.write("v2")
    process = fleet.start("deploy")
    until(lambda: fleet.each == ["v2", "v1", "v1"] and waits(process.pid), what="the check")  # type: ignore[attr-defined]
    os.kill(process.pid, signal.SIGINT)  # type: ignore[attr-defined]
    _, said = process.communicate(timeout=60)  # type: ignore[attr-defined]
    assert (process.returncode, fleet.each) == (12, ["v1"] * 3), said  # type: ignore[attr-defined]
    assert "interrupted while `until" in said


@pytest.mark.parametrize("kind", ["all", "rolling"])
@pytest.mark.parametrize("broken", NAMES)
def test_whichever_host_fails_all_go_back(fleet: Fleet, kind: str, broken: str) -> None:
    """12: never half and half; those that were not switched yet say so."""
    strategy(fleet, f'kind = "{kind}"', f'[hooks]\nafter_switch = ["{FAILS.format(broken)}"]\n')
    fleet.write("v2")
    result = fleet.run("deploy")
    told(result, code=12, says=(f"/{broken}: after_switch failed",))
    assert fleet.each == ["v1"] * 3
    assert fleet.run("status").code == 0
    strategy(fleet, f'kind = "{kind}"')
    assert fleet.run("deploy").code == 0
    assert fleet.each == ["v2"] * 3


def test_what_was_proven_may_stay(fleet: Fleet) -> None:
    """13, said for each host; the next deploy makes them one again."""
    strategy(fleet, 'kind = "rolling"\non_failure = "stop"', f'[hooks]\nafter_switch = ["{FAILS.format("three")}"]\n')
    fleet.write("v2")
    result = fleet.run("deploy", "--json")
    assert (result.code, result.events[-1]["outcome"]) == (13, "partial"), result.err
    assert fleet.each == ["v2", "v2", "v1"]
    assert fleet.run("status").code == 13
    strategy(fleet, 'kind = "rolling"')
    assert fleet.run("deploy", "--force").code == 0
    assert fleet.each == ["v2"] * 3


def test_a_failure_before_the_switch_leaves_every_host_as_it_was(fleet: Fleet) -> None:
    """11: also those on which all went well."""
    more = f'[prepare]\ncommands = ["{FAILS.format("two")}"]\n'
    strategy(fleet, "", more)
    fleet.write("v2")
    told(fleet.run("deploy"), code=11, says=("/two: prepare failed",))
    assert fleet.each == ["v1"] * 3
    assert [fleet.events(name, 2) for name in NAMES] == [["deploy", "failed"]] * 3


@pytest.mark.parametrize("barrier", ["before the first switch", "between two switches", "before the confirm"])
def test_a_client_killed_at_a_barrier_leaves_all_on_the_old_release(fleet: Fleet, barrier: str) -> None:
    """P2 for a fleet: each host goes back by itself, and the next deploy needs no help."""
    wait = "until [ -e go ]; do sleep 0.05; done"
    held = {
        "before the first switch": ("", f'[hooks.local]\nbefore_switch = ["{wait}"]\n', ["v1"] * 3),
        "between two switches": (f'kind = "rolling"\ncheck = "{wait}"', "", ["v2", "v1", "v1"]),
        "before the confirm": (f'check = "{wait}"', "", ["v2"] * 3),
    }
    text, more, seen = held[barrier]
    strategy(fleet, text, more)
    fleet.write("v2")
    process = fleet.start("deploy", "--json")
    until(lambda: fleet.each == seen and waits(process.pid), what=barrier)  # type: ignore[attr-defined]
    os.killpg(process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
    until(lambda: fleet.each == ["v1"] * 3, what="the old release")
    (fleet.folder / "go").touch()  # for what it had started on the controller
    process.communicate()  # type: ignore[attr-defined]
    result = fleet.run("deploy")
    assert result.code == 0, result.err
    assert fleet.each == ["v2"] * 3


def test_a_session_that_dies_before_the_confirm_takes_all_back(fleet: Fleet) -> None:
    """P2: its host has gone back by itself, and none is confirmed where another is not what was proven."""
    strategy(fleet, 'check = "until [ -e go ]; do sleep 0.05; done"')
    fleet.write("v2")
    process = fleet.start("deploy", "--json")
    until(lambda: fleet.each == ["v2"] * 3 and waits(process.pid), what="the check")  # type: ignore[attr-defined]
    info = fleet.root / "two" / ".switchover" / "lock.info"
    os.kill(json.loads(info.read_text())["pid"], signal.SIGKILL)
    until(lambda: fleet.each == ["v2", "v1", "v2"], what="the way back of one")
    (fleet.folder / "go").touch()
    process.communicate(timeout=120)  # type: ignore[attr-defined]
    assert (process.returncode, fleet.each) == (12, ["v1"] * 3)  # type: ignore[attr-defined]


def waits(pid: int) -> bool:
    """Has the client come to its command?"""
    try:
        children = Path(f"/proc/{pid}/task").glob("*/children")
        return any(b"until" in Path(f"/proc/{c}/cmdline").read_bytes() for f in children for c in f.read_text().split())
    except OSError:
        return False


def test_one_busy_host_is_enough_to_lock_none(fleet: Fleet) -> None:
    """75, with its holder; the locks of the others are free again at once."""
    wait = "until [ -e go ]; do sleep 0.05; done"
    strategy(fleet, "", f'[hooks.local]\nbefore_switch = ["{wait}"]\n')
    fleet.write("v2")
    process = fleet.start("deploy", "--host", "two")
    until(lambda: waits(process.pid), what="the deploy of one")  # type: ignore[attr-defined]
    told(fleet.run("deploy"), code=75, says=("/two is locked by ",), hint="--wait")
    alone = fleet.run("prune", "--host", "one,three")
    assert alone.code == 0, alone.err
    (fleet.folder / "go").touch()
    process.communicate(timeout=60)  # type: ignore[attr-defined]
    assert (process.returncode, fleet.each) == (0, ["v1", "v2", "v1"])  # type: ignore[attr-defined]


def test_a_host_that_was_left_out_is_shown(fleet: Fleet) -> None:
    """And goes on with what it has until somebody brings it up."""
    fleet.write("v2")
    assert fleet.run("deploy", "--without", "three").code == 0
    assert fleet.each == ["v2", "v2", "v1"]
    status = fleet.run("status")
    notes = {line.split()[0].rpartition("/")[2]: line for line in status.out.splitlines()[1:]}
    assert (status.code, ["left out: deploy 2 made " in notes[n] for n in NAMES]) == (13, [False, False, True])
    assert fleet.run("deploy", "--force").code == 0
    assert fleet.each == ["v2"] * 3


def test_two_deploys_to_hosts_that_overlap_never_wait_for_each_other(fleet: Fleet) -> None:
    """P5: in whatever order each names them; one of them goes on, or the other does."""
    for turn in range(5):
        fleet.write(f"turn {turn}")
        racing = [fleet.start("deploy", "--force", "--host", hosts) for hosts in ("one,two", "three,two,one")]
        for process in racing:
            process.communicate(timeout=60)  # type: ignore[attr-defined]
        codes = sorted(process.returncode for process in racing)  # type: ignore[attr-defined]
        assert codes in ([0, 0], [0, 75])


def test_a_rollback_takes_every_host_back(fleet: Fleet) -> None:
    """To the newest that all of them have."""
    fleet.write("v2")
    assert fleet.run("deploy").code == 0
    assert fleet.run("rollback").code == 0
    assert fleet.each == ["v1"] * 3


def test_what_the_leader_did_to_the_database_stands_in_every_journal(fleet: Fleet) -> None:
    """P8, even where the leader is lost: a rollback on the others is refused all the same."""
    schema = fleet.folder.parent / "schema"
    schema.touch()
    listing = f"grep -qx add {schema} || echo expand add; grep -qx drop {schema} || echo contract drop"
    more = f'''[migrations]
kind = "command"
pending = "{listing}"
expand = "echo add >>{schema}"
contract = "echo drop >>{schema}"
'''
    strategy(fleet, "", more)
    fleet.write("v2")
    assert fleet.run("deploy").code == 0
    fleet.write("v3")
    assert fleet.run("deploy").code == 0
    assert fleet.run("contract").code == 0
    journals = [(fleet.root / name / ".switchover" / "journal.jsonl").read_text() for name in NAMES]
    ran = [[line for line in text.splitlines() if '"migrated"' in line] for text in journals]
    assert ran[0] == ran[1] == ran[2]
    assert len(ran[0]) == 2
    first = sorted(path.name for path in (fleet.root / "two" / "releases").iterdir())[0]
    refused = fleet.run("rollback", "--to", first, "--host", "two,three")
    assert (refused.code, "contract migration drop" in refused.err) == (10, True), refused.err
