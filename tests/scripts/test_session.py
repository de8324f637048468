"""The session: takes the lock, runs one step after another, and ends with the line."""

import os
import signal
from pathlib import Path

import pytest

from tests.app import until
from tests.faults.scene import parent
from tests.scripts.running import Here
from tests.sshd import toolbox


def pids(here: Here, *names: str) -> list[int]:
    """What the steps wrote into these files, once it is there."""
    until(lambda: all((here.base / name).exists() and (here.base / name).read_text().strip() for name in names))
    return [int((here.base / name).read_text()) for name in names]


def gone(pid: int) -> bool:
    """Has a process ended?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def takes_the_lock(here: Here) -> bool:
    """Does the next session get it?"""
    with here.session() as talk:
        return talk.first == f"READY {talk.word}"


def test_answers_are_framed_whatever_a_step_prints(here: Here) -> None:
    """Also what looks like an end, has no last newline, or is not text."""
    with here.session() as talk:
        assert talk.first == f"READY {talk.word}"
        ran = talk.run("echo a=1; printf 'END x 0\\nREADY\\nb=2'; printf 'oh\\nno' >&2")
        assert (ran.code, tuple(ran.answer), ran.err) == (0, (("a", "1"), ("b", "2")), "oh\nno")
        ran = talk.run("printf 'raw=\\377\\001\\n'; exit 7")
        assert (ran.code, ran.answer.one("raw")) == (7, os.fsdecode(b"\xff\x01"))
        assert talk.run("cat; echo end=1").answer.one("end") == "1"  # no step can swallow the next


@pytest.mark.parametrize("ours", ["", "\x1d", "\x1e\n\x1d"], ids=["none", "one", "both"])
def test_scripts_arrive_byte_for_byte(here: Here, ours: str) -> None:
    """Backslashes, newlines, percent signs, letters beyond ASCII, what we put between lines; 60 KB of them."""
    text = f"\\n \\\\ \\0101 %s $x `y` \u2603 'z'\n\ttab{ours}\n\n" + "x\\" * 30_000
    with here.session() as talk:
        script = f"cat >'{here.base}/got' <<'EOT'\n{text}\nEOT"
        assert talk.run(script).code == 0
    assert (here.base / "got").read_text() == f"{text}\n"


def test_steps_share_nothing_but_the_lock(here: Here) -> None:
    """Each is a shell of its own, in /, in C, with umask 022 and the descriptor of the lock."""
    with here.session() as talk:
        talk.run("cd /tmp; umask 077; x=1; export x")
        ran = talk.run('echo "is=$PWD $(umask) ${x-unset} $LC_ALL"; echo "lock=$(readlink /proc/$$/fd/9)"')
        assert ran.answer.one("is") == "/ 0022 unset C"
        assert ran.answer.one("lock") == str(here.private / "lock")


def test_a_step_that_is_killed_is_told_and_the_session_goes_on(here: Here) -> None:
    """By its signal."""
    with here.session() as talk:
        assert talk.run("kill -9 $$").code == 137
        assert talk.run("echo on=1").answer.one("on") == "1"


def test_the_end_of_a_step_is_not_told_when_its_session_was_killed(here: Here) -> None:
    """P12: who carries steps must not go on, on other hosts, as if this one could be asked for the next."""
    with here.session() as talk:
        waits = f"echo $$ >'{here.base}/step'; until [ -e '{here.base}/go' ]; do sleep 0.05; done"
        talk.begin(waits, f"touch '{here.base}/next'")
        pids(here, "step")
        talk.process.kill()
        talk.process.wait()
        (here.base / "go").touch()
        talk.out.thread.join(20)
        assert not talk.out.thread.is_alive()
        assert (b"END" in talk.out.data, (here.base / "next").exists()) == (False, False)
    assert takes_the_lock(here)


def test_a_step_has_a_limit(here: Here) -> None:
    """It is ended with what it started, and the session goes on."""
    with here.session() as talk:
        ran = talk.run(f"sleep 60 & echo $! >'{here.base}/child'; sleep 60", limit_s=1)
        assert ran.code in (124, 143)
        until(lambda: gone(pids(here, "child")[0]), what="the end of its child")
        assert talk.run("echo on=1").answer.one("on") == "1"


def test_what_a_step_leaves_behind_goes_with_it(here: Here) -> None:
    """Unless it has a session of its own."""
    with here.session() as talk:
        talk.run(
            f"sleep 60 >/dev/null 2>&1 & echo $! >'{here.base}/left'; "
            f"setsid sh -c 'echo $$ >\"{here.base}/daemon\"; exec sleep 61' >/dev/null 2>&1 9>&- & sleep 0.2"
        )
        left, daemon = pids(here, "left", "daemon")
        until(lambda: gone(left), what="the end of what was left")
        assert not gone(daemon)
    os.kill(daemon, signal.SIGKILL)


def test_the_end_of_the_line_ends_the_step_and_frees_the_lock(here: Here) -> None:
    """P5: at once; a daemon that the step started without the lock's descriptor lives on, and does not hold it."""
    with here.session() as talk:
        talk.begin(
            f"echo $$ >'{here.base}/step'; sleep 60 & echo $! >'{here.base}/child'; "
            f"setsid sh -c 'echo $$ >\"{here.base}/daemon\"; exec sleep 61' >/dev/null 2>&1 9>&- & sleep 62"
        )
        step, child, daemon = pids(here, "step", "child", "daemon")
        talk.hang_up()
        until(lambda: gone(step) and gone(child), what="the end of the step")
        talk.process.wait(10)
        assert not gone(daemon)
        assert takes_the_lock(here)
    os.kill(daemon, signal.SIGKILL)


def test_a_step_that_does_not_mind_is_killed(here: Here) -> None:
    """Whatever it traps."""
    with here.session() as talk:
        talk.begin(f"trap '' TERM HUP INT; echo $$ >'{here.base}/step'; while :; do sleep 0.1; done")
        (step,) = pids(here, "step")
        talk.hang_up()
        until(lambda: gone(step), what="the end of the step")
    assert takes_the_lock(here)


def test_a_session_that_hears_nothing_gives_up(here: Here) -> None:
    """P5: with its step, and the lock."""
    with here.session(silence_s=1) as talk:
        talk.begin(f"echo $$ >'{here.base}/step'; sleep 60")
        (step,) = pids(here, "step")
        talk.process.wait(15)
        until(lambda: gone(step), what="the end of the step")
        assert takes_the_lock(here)


def test_bye_ends_a_session_at_once(here: Here) -> None:
    """And the lock is free."""
    with here.session() as talk:
        talk.send(b"bye\n")
        assert talk.process.wait(5) == 0
        assert takes_the_lock(here)


def test_a_runner_that_is_killed_ends_the_session_with_the_next_beat(here: Here) -> None:
    """P12: it has said nothing of its step, and would be waited for; one that has ended by itself ends nothing."""
    with here.session() as talk:
        assert talk.run("echo a=1").answer.one("a") == "1"
        for _ in range(3):
            talk.send(b"\n")
        assert talk.run("echo b=$PPID").answer.one("b")
        talk.begin(f"echo $$ >{here.base}/step; exec sleep 600")
        (step,) = pids(here, "step")
        runner = parent(parent(step))
        os.kill(runner, signal.SIGKILL)
        talk.send(b"\n")
        talk.process.wait(20)
        os.kill(step, signal.SIGKILL)


def test_a_session_that_only_reads_needs_no_lock(here: Here) -> None:
    """Nor a root; its steps have no descriptor of one."""
    with here.session() as first, here.session(lock=False) as reads:
        assert first.first == reads.first == f"READY {reads.word}"
        assert reads.run("[ ! -e /proc/$$/fd/9 ] && echo none=1").answer.one("none") == "1"


@pytest.mark.parametrize("tool", ["flock", "setsid", "timeout", "base64", "gzip"])
def test_a_host_without_a_tool_is_refused(here: Here, tool: str) -> None:
    """69, by the tool's name."""
    box = here.base / "poor"
    toolbox(box, *(name for name in ("flock", "setsid", "timeout", "base64", "gzip") if name != tool))
    (box / "sh").symlink_to(here.sh)
    here.path = str(box)
    with here.session() as talk:
        assert talk.first == f"FAIL {talk.word} 69 it has no {tool}"
        assert talk.process.wait(5) == 69


def test_a_root_that_is_missing_or_no_directory_is_refused(here: Here) -> None:
    """66, or 65; nothing is made in its place."""
    here.root.rename(here.base / "away")
    with here.session() as talk:
        assert talk.first.startswith(f"FAIL {talk.word} 66 {here.root} ")
        assert talk.process.wait(5) == 66
    assert not here.root.exists()
    here.root.touch()
    with here.session() as talk:
        assert (talk.first.split()[2], talk.process.wait(5)) == ("65", 65)


def test_a_root_that_one_may_not_write_is_refused(account: Here) -> None:
    """77, with who asks."""
    (account.private / "lock").touch()
    account.own()
    (account.private / "lock").chmod(0o400)
    with account.session() as talk:
        assert talk.first.startswith(f"FAIL {talk.word} 77 ")
        assert talk.first.endswith("ermission denied")


def test_a_word_of_the_session_begins_a_line_whatever_a_profile_printed(here: Here) -> None:
    """On both streams: a title of a window has no end of a line."""
    with here.session() as talk:
        until(lambda: talk.err.data.endswith(b"\n"), what="READY on stderr")
        assert bytes(talk.out.data) == bytes(talk.err.data) == f"\nREADY {talk.word}\n".encode()
