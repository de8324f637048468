"""commands and migrations: what is the user's own, run in a release."""

import json
import os
import signal
from collections.abc import Mapping
from typing import Any

import pytest

from releases import steps
from releases.config import Migrations
from releases.history import History
from releases.migrations import command as migrations
from releases.plan import Phase, Step
from releases.processes.kind import Switch
from releases.scripts import render
from tests.app import until
from tests.scripts.running import A, B, Here, Ran

# A migration tool: one file for each migration that waits, which is removed when it has run.
TOOL = """
case $1 in
  pending) for file in waiting/*; do [ ! -e "$file" ] || { read -r phase <"$file"; echo "$phase ${file##*/}"; }; done ;;
  *) for file in waiting/*; do
       read -r phase <"$file"
       [ "$phase" = "$1" ] || { [ "$1" = expand ] && break; continue; }
       echo "ran ${file##*/}"
       [ "${file##*/}" != broken ] || exit 4
       rm -f "$file"
     done ;;
esac
"""
SETTINGS = Migrations.model_validate(
    {"kind": "command", "pending": "sh tool pending", "expand": "sh tool expand", "contract": "sh tool contract"}
)


def commands(here: Here, *run: str) -> Step:
    """A hook of a deploy of B over A."""
    return steps.commands("hook", run, Switch(here.layout.root, 7, B, A), phase=Phase.SWITCH)


def test_commands_run_in_the_new_release_in_order(here: Here) -> None:
    """They know where both are; what they print is for people, and no answer."""
    here.release(B)
    ran = here.run(commands(here, "pwd", "printf 'live=%s\\n' forged", 'echo "$NEW_RELEASE $OLD_RELEASE"; cat'))
    releases = here.root / "releases"
    assert (ran.code, tuple(ran.answer)) == (0, ())
    said = [line for line in ran.err.splitlines() if not line.startswith("+ ")]
    assert said == [str(releases / B.name), "live=forged", f"{releases / B.name} {releases / A.name}"]


def test_the_first_command_that_fails_is_the_last(here: Here) -> None:
    """Its exit code is the step's, and its name is told."""
    directory = here.release(B)
    ran = here.run(commands(here, "touch one", "exit 42", "touch two"))
    assert (ran.code, "hook: `exit 42`: exit 42" in ran.err) == (42, True)
    assert sorted(os.listdir(directory)) == ["one", "version"]


@pytest.mark.parametrize("run", ["set -eu; x=$(false); echo", "cd nowhere && echo", "exec sh -c 'kill -9 $$'"])
def test_a_command_fails_however_it_ends(here: Here, run: str) -> None:
    """Its own `set -e`, a list, a signal."""
    here.release(B)
    assert here.run(commands(here, run)).code not in (0, None)


def test_a_command_cannot_hold_the_lock(here: Here) -> None:
    """Nor can a daemon that it leaves: the lock's descriptor is not theirs."""
    here.release(B)
    with here.session() as talk:
        ran = talk.run(commands(here, "ls /proc/self/fd; setsid sleep 60 >/dev/null 2>&1 & echo $! >pid"))
        assert (ran.code, "9" in ran.err.split()) == (0, False)
        daemon = int((here.root / "releases" / B.name / "pid").read_text())
    assert not os.path.exists(f"/proc/{daemon}/fd/9")
    with here.session() as talk:
        assert talk.first == f"READY {talk.word}"
    os.kill(daemon, 9)


def test_no_commands_are_no_mistake(here: Here) -> None:
    """A loop over nothing."""
    here.release(B)
    assert here.run(commands(here)).code == 0


def wait(here: Here, **phases: str) -> None:
    """Stage release B with these migrations, in order of their names."""
    here.release(B, {"tool": TOOL, **{f"waiting/{name}": f"{phase}\n" for name, phase in phases.items()}})
    (here.root / "releases" / B.name / "waiting").mkdir(exist_ok=True)


def migrate(here: Here, *, initial: bool = False) -> tuple[Ran, Ran]:
    """Ask what is pending, then expand."""
    pending, expand = migrations.steps(SETTINGS, Switch(here.layout.root, 7, B, A), initial=initial)
    return here.run(pending), here.run(expand)


def journaled(here: Here) -> list[Mapping[str, Any]]:
    """What the journal has of migrations, without the time."""
    events = [json.loads(line) for line in here.journal.splitlines()]
    ran = [event for event in events if event["event"] == "migrated"]
    return [{key: event[key] for key in ("deploy", "phase", "names", "left")} for event in ran]


def test_what_is_pending_is_told_in_order(here: Here) -> None:
    """As the tool says it."""
    wait(here, m1="expand", m2="contract")
    pending, _ = migrate(here)
    assert (pending.code, pending.answer.all("pending")) == (0, ("expand m1", "contract m2"))


def test_nothing_pending_is_nothing_journaled(here: Here) -> None:
    """And no failure."""
    wait(here)
    pending, expand = migrate(here)
    assert (pending.code, expand.code, tuple(pending.answer), here.journal) == (0, 0, (), "")


def test_expand_runs_what_the_old_code_survives(here: Here) -> None:
    """Which ran and what is left stands in the journal."""
    wait(here, m1="expand", m2="expand", m3="contract")
    _, expand = migrate(here)
    assert (expand.code, expand.answer.one("expand")) == (0, "m1,m2")
    assert "ran m1" in expand.err
    assert journaled(here) == [{"deploy": 7, "phase": "expand", "names": ["m1", "m2"], "left": ["contract m3"]}]


def test_what_ran_before_a_failure_is_journaled(here: Here) -> None:
    """The old code must survive it, so it has to be known."""
    wait(here, a1="expand", broken="expand", c1="expand")
    _, expand = migrate(here)
    assert (expand.code, expand.answer.one("expand")) == (70, "a1")
    assert journaled(here)[0]["names"] == ["a1"]


def test_expand_migrations_that_wait_behind_a_contract_one_are_a_failure(here: Here) -> None:
    """Nothing may be switched to code that needs them."""
    wait(here, m1="contract", m2="expand")
    _, expand = migrate(here)
    assert (expand.code, "left expand migrations pending" in expand.err) == (70, True)


def test_where_nothing_is_live_all_run_in_turn(here: Here) -> None:
    """A new database gets its whole schema."""
    wait(here, m1="expand", m2="contract", m3="expand", m4="contract")
    _, expand = migrate(here, initial=True)
    assert (expand.code, expand.answer.one("expand"), expand.answer.one("contract")) == (0, "m1,m3", "m2,m4")
    assert [(event["phase"], event["names"]) for event in journaled(here)] == [
        ("expand", ["m1", "m3"]),
        ("contract", ["m2", "m4"]),
    ]


def test_contract_runs_on_request(here: Here) -> None:
    """And is journaled as such."""
    wait(here, m1="contract", m2="contract")
    (contract,) = migrations.contract(SETTINGS, Switch(here.layout.root, 8, B, B))
    ran = here.run(contract)
    assert (ran.code, ran.answer.one("contract")) == (0, "m1,m2")
    assert journaled(here) == [{"deploy": 8, "phase": "contract", "names": ["m1", "m2"], "left": []}]


def test_a_tool_that_cannot_tell_stops_the_deploy(here: Here) -> None:
    """Before anything ran."""
    wait(here, m1="expand")
    (here.root / "releases" / B.name / "tool").write_text("exit 5")
    pending, expand = migrate(here)
    assert (pending.code != 0, expand.code != 0) == (True, True)
    assert "`sh tool pending` failed: exit 5" in pending.err


def test_a_migration_that_is_cut_short_counts_as_run_until_it_is_listed_again(here: Here) -> None:
    """P8: it may have committed; only the tool knows, when it is asked the next time."""
    wait(here, m1="contract", m2="contract")
    directory = here.root / "releases" / B.name
    (directory / "tool").write_text(f"{TOOL}\ncase $1 in contract) touch done; exec sleep 60 ;; esac")
    (contract,) = migrations.contract(SETTINGS, Switch(here.layout.root, 8, B, B))
    running = here.start(here.sh, "-c", render(contract))
    until((directory / "done").exists, what="the last of its migrations")
    os.killpg(running.pid, signal.SIGKILL)
    history = History.parse(here.journal.splitlines())
    assert [(e["phase"], e["names"]) for e in history.migrated] == [("contract", ["m1", "m2"])]
    assert history.beyond(A) == "m1"
    wait(here, m2="contract")
    assert here.run(migrations.steps(SETTINGS, Switch(here.layout.root, 9, B, B), initial=False)[0]).code == 0
    history = History.parse(here.journal.splitlines())
    assert [(e["phase"], e["names"]) for e in history.migrated] == [("contract", ["m1"])]


def test_a_release_knows_the_contract_migrations_that_it_brings(here: Here) -> None:
    """Even if it had nothing to expand: it may be gone back to once they have run."""
    wait(here, m1="contract")
    migrate(here)
    assert [e["left"] for e in map(json.loads, here.journal.splitlines()) if e["event"] == "pending"] == [
        ["contract m1"]
    ]


@pytest.mark.parametrize("name", ['drop "old"', "a b", "$(reboot)"])
def test_a_migration_that_the_journal_cannot_name_stops_everything(here: Here, name: str) -> None:
    """Before it runs: what ran unnamed could never be known to a rollback."""
    wait(here, **{name: "contract"})
    (contract,) = migrations.contract(SETTINGS, Switch(here.layout.root, 8, B, B))
    ran = here.run(contract)
    assert (ran.code != 0, f'printed "contract {name}"' in ran.err, here.journal) == (True, True, "")
    assert "ran " not in ran.err


def test_commands_run_in_the_locale_of_the_host(here: Here) -> None:
    """Not in that of our own tools, in which Ruby and Perl take every file for ASCII."""
    here.release(B)
    for theirs, seen in (({}, "unset"), ({"LC_ALL": "C.UTF-8"}, "C.UTF-8")):
        environment = {"LC_ALL": "", **theirs}
        with here.session(**environment) as talk:
            assert seen in talk.run(commands(here, 'echo "${LC_ALL-unset}"')).err.splitlines()
