"""The journal of a host: what ends a line, what reaches the disk, and when."""

import json
import os
import re
from contextlib import suppress

import pytest

from releases import steps
from releases.history import History
from tests.app import until
from tests.scripts.disks import full
from tests.scripts.running import A, B, Here


@pytest.mark.parametrize("torn", [b'{"event":"li', b"\0\0\0", b'{"event":"live"}\n\0'])
def test_a_torn_last_line_of_the_journal_is_closed_before_the_next(here: Here, torn: bytes) -> None:
    """Or the event that follows would be lost with it."""
    journal = here.private / "journal.jsonl"
    journal.write_bytes(torn)
    assert here.run(steps.begin(here.layout, '{"event":"deploy","deploy":8')).code == 0
    assert journal.read_bytes().startswith(torn + b"\n")
    events = History.parse(journal.read_text().splitlines()).events
    assert (events[-1]["deploy"], len(events[-1]["at"])) == (8, 20)


def test_what_other_hosts_tell_goes_behind_a_torn_line(here: Here) -> None:
    """Or both would be lost."""
    journal = here.private / "journal.jsonl"
    journal.write_text('{"event":"live","depl')
    told = '{"event":"migrated","deploy":1}'
    ran = here.run(steps.begin(here.layout, '{"event":"deploy"', (told,)))
    assert ran.code == 0, ran.err
    assert told in journal.read_text().splitlines()


def test_every_event_is_seen_to_the_disk(here: Here) -> None:
    """Of this file where sync can do that, else of all."""
    box, log = here.base / "synced", here.base / "synced.log"
    box.mkdir()
    for answer in ("exit 0", "[ $# = 0 ]"):
        log.write_text("")
        (box / "sync").write_text(f'#!{here.sh}\necho "sync $*" >>"{log}"\n{answer}\n')
        (box / "sync").chmod(0o755)
        ran = here.run(steps.begin(here.layout, '{"event":"deploy"'), path=f"{box}:{here.path}")
        assert (ran.code, log.read_text().splitlines()[0]) == (0, f"sync -d {here.private / 'journal.jsonl'}")
    assert log.read_text().splitlines()[-1] == "sync "


@pytest.mark.parametrize(("followed", "flushes"), [("", 1), ("1", 0)])
def test_of_steps_that_are_sent_together_only_the_last_flushes_the_journal(
    followed: str, flushes: int, here: Here
) -> None:
    """Where one fails it is the last. What decides anything is an event of its own, and flushed."""
    here.release(A)
    box, log = here.base / "synced", here.base / "synced.log"
    box.mkdir()
    (box / "sync").write_text(f'#!{here.sh}\necho "$*" >>"{log}"\n')
    (box / "sync").chmod(0o755)
    event = {"event": "step", "deploy": 7, "step": "publish"}
    for release, code, expected in ((A, 0, flushes), (B, 66, 1)):
        log.write_text("")
        ran = here.run(
            steps.publish(here.layout, release, None),
            event=event,
            path=f"{box}:{here.path}",
            SWITCHOVER_FOLLOWED=followed,
        )
        assert (ran.code, log.read_text().count("journal.jsonl")) == (code, expected)


def test_a_step_is_journaled_when_it_begins_and_how_it_ends(here: Here) -> None:
    """With its exit code; the failure itself is not hidden by that."""
    here.release(A)
    event = {"event": "step", "deploy": 7, "step": "publish"}
    assert here.run(steps.publish(here.layout, A, None), event=event).code == 0
    assert here.run(steps.publish(here.layout, B, None), event=event).code == 66
    states = [(e["state"], e.get("exit")) for e in map(json.loads, here.journal.splitlines())]
    assert states == [("begin", None), ("end", 0), ("begin", None), ("end", 66)]


@pytest.mark.parametrize("before", [(), ("true",)])
def test_a_line_that_was_cut_short_is_closed_once(here: Here, before: tuple[str, ...]) -> None:
    """By the first step that journals, whatever comes before it; those behind it find its line whole."""
    here.own()
    (here.private / "journal.jsonl").write_text('{"event":"live","depl')
    here.release(A, {"x": "1"})
    publish, told = steps.publish(here.layout, A, None), 'echo "closed=${SWITCHOVER_CLOSED-}"'
    with here.session() as talk:
        talk.begin(told, *before, publish, publish, told, event={"event": "step", "step": "publish"})
        until(lambda: talk.out.data.count(b"END") == len(before) + 4, what="the end of all")
        assert re.findall(rb"closed=(.*)", bytes(talk.out.data)) == [b"", b"1"]
    cut, *lines = (here.private / "journal.jsonl").read_text().splitlines()
    assert cut == '{"event":"live","depl'
    assert [json.loads(line)["state"] for line in lines] == ["begin", "end"] * 2


@pytest.mark.skipif(os.geteuid() != 0, reason="a full disk is made by mounting one: run as root")
def test_behind_a_line_that_a_full_disk_has_cut_nothing_is_begun(here: Here) -> None:
    """Or who comes next would take it for whole."""
    with full(here.root) as fill:
        for part in ("releases", ".switchover/manifests"):
            (here.root / part).mkdir(parents=True)
        release = here.release(A, {"x": "1"})
        here.own()
        publish = steps.publish(here.layout, A, None)
        with here.session() as talk:
            talk.run(publish, event={"event": "step", "step": "publish"})
            fill()
            with (here.private / "journal.jsonl").open("ab", buffering=0) as journal, suppress(OSError):
                while journal.write(b"x" * 7):
                    pass
            talk.begin(publish, f"touch {here.base}/next", event={"event": "step", "step": "publish"})
            until(lambda: talk.out.data.count(b"END") == 2, what="the end of all")
            assert re.findall(rb"END \w+ (\S+)", bytes(talk.out.data))[1] == b"-"
        assert (release.is_dir(), (here.base / "next").exists()) == (True, False)
