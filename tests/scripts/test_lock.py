"""The lock of a session: who holds it, who waits for it, and in which order."""

import json
import os
from contextlib import ExitStack
from pathlib import Path

from releases import steps
from releases.holder import Holder
from tests.app import until
from tests.scripts.running import A, Here, Talk


def test_a_lock_that_is_held_is_refused_with_its_holder(here: Here) -> None:
    """Who, where, since when, and at which step."""
    here.release(A)
    holder = '{"who":"ana","place":"laptop","since":"2026-11-21T06:57:59Z"'
    with here.session() as first:
        first.run(steps.settle(here.layout, holder))
        first.begin("sleep 60")
        with (here.private / "journal.jsonl").open("a") as journal:
            journal.write('{"event":"step","step":"publish \\\\ \\"web\\"","state":"begin"}\n')
        with here.session() as second:
            kind, word, rest = second.first.split(" ", 2)
            assert (kind, word, second.process.wait(10)) == ("BUSY", second.word, 75)
            info, end = json.JSONDecoder().raw_decode(rest)
            assert info["pid"] == first.process.pid
            told = str(Holder.parse(rest[:end], rest[end:].strip()))
            assert told == 'ana on laptop since 2026-11-21T06:57:59Z at step publish \\ "web"'


def test_two_first_sessions_at_once_both_get_to_the_lock(here: Here) -> None:
    """P5: another one may have made the directory of the lock between our look and our turn."""
    here.private.rename(here.base / "before")
    mkdir = here.base / "bin" / "mkdir"
    mkdir.unlink(missing_ok=True)
    mkdir.write_text(f'#!{here.sh}\n/bin/mkdir -m 0700 "{here.private}"\nexec /bin/mkdir "$@"\n')
    mkdir.chmod(0o755)
    with here.session() as talk:
        assert talk.first == f"READY {talk.word}"


def asks(talk: Talk) -> list[int]:
    """What it waits for the lock with."""
    children = Path(f"/proc/{talk.process.pid}/task/{talk.process.pid}/children").read_text().split()
    return [int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text() == "flock\n"]


def test_who_waits_goes_on_in_the_order_of_arrival(here: Here) -> None:
    """P5: each is told at once who holds the lock, and then that it is its own."""
    with here.session() as first, ExitStack() as stack:
        (here.private / "lock.info").write_text('{"who":"ana"}\n')
        waiting = list[Talk]()
        for _ in range(4):
            waiting.append(stack.enter_context(here.session(wait_s=60)))
            assert waiting[-1].first == f'BUSY {Talk.word} {{"who":"ana"}} '
            until(lambda: asks(waiting[-1]), what="the wait for the lock")
        first.hang_up()
        for place, talk in enumerate(waiting):
            until(lambda talk=talk: talk.ready, what="the lock")  # type: ignore[misc]
            assert [later.ready for later in waiting[place + 1 :]] == [False] * (3 - place)
            assert talk.run("echo mine=1").answer.one("mine") == "1"
            talk.hang_up()


def test_who_waits_and_goes_leaves_nobody_behind(here: Here) -> None:
    """The end of the line ends the wait, too, and who came after is next."""
    with here.session() as first, here.session(wait_s=60) as gone_away, here.session(wait_s=60) as next_one:
        for talk in (gone_away, next_one):
            until(lambda talk=talk: asks(talk), what="the wait for the lock")  # type: ignore[misc]
        gone_away.hang_up()
        with open(os.devnull) as nobody:
            for pipe in (gone_away.out.pipe, gone_away.err.pipe):
                os.dup2(nobody.fileno(), pipe.fileno())
        gone_away.process.wait(30)
        first.hang_up()
        until(lambda: next_one.ready, what="the lock")


def test_who_has_waited_long_enough_is_told_again(here: Here) -> None:
    """75, as for who does not wait."""
    with here.session(), here.session(wait_s=1) as talk:
        assert talk.process.wait(30) == 75
        until(lambda: talk.out.data.count(b"BUSY") == 2, what="the second word")
