"""A session over a real sshd: what is too much, too long or too late ends it with one line, and never hangs."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path

import paramiko
import pytest

from releases.channels import execute
from releases.config import load
from releases.connection import connect
from releases.errors import LockHeld, OutcomeUnknown, StepFailed, Unreachable
from releases.line import Line
from releases.lines import ARGUMENT, Script
from releases.session import Session
from releases.settings import Limits
from releases.streams import KEPT, Stream
from tests.app import App, until
from tests.sshd import Sshd

pytestmark = pytest.mark.journey


@contextmanager
def session(
    app: App, *, locked: bool = False, first: Sequence[Script] = (), limits: Limits | None = None
) -> Iterator[Session]:
    """A session with the host of *app*, with its lock or without."""
    (target,) = load(app.folder / "deploy.toml", host="", without="")
    connection = connect(target.destination, ssh_config=app.ssh_config)
    lock = str(app.root / ".switchover" / "lock") if locked else ""
    opened = Session(connection, target.name, lock=lock, hear=lambda line: None, first=first, limits=limits)
    try:
        yield opened
    finally:
        opened.close()


def pour(into: Stream) -> None:
    """Send without an end, as long as somebody takes it."""
    while True:
        into.write(b"x" * (1 << 16))


def pour_one(into: Stream) -> None:
    """Send one byte."""
    into.write(b"x")


def test_a_command_that_talks_while_it_is_sent_to_is_listened_to(app: App) -> None:
    """P5: tar has a line for each file on a full disk; 8 MB are more than a channel holds."""
    talks = "sh -c 'head -c 8000000 /dev/zero | tr \"\\0\" x >&2; cat >/dev/null; echo; echo the reason >&2; exit 3'"
    with session(app) as opened:
        with pytest.raises(StepFailed, match="send failed: the reason"):
            opened.bulk.send("send", talks, "/", lambda into: [into.write(b"x" * 100_000) for _ in range(80)] and None)
        assert not opened.lost
        assert opened.run("on", "echo on=1").one("on") == "1"


def test_what_is_sent_has_a_limit(app: App) -> None:
    """P5: kept by the host, whoever does not read; the session goes on."""
    with session(app) as opened:
        with pytest.raises(StepFailed, match="no end within 1 s"):
            opened.bulk.send("send", "sleep 600", "/", pour, timeout_s=1)
        assert not opened.lost
        assert opened.run("on", "echo on=1").one("on") == "1"


def test_a_payload_may_end_where_keys_would_be_changed(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """P5: paramiko would wait for itself: half a gigabyte is its limit, and a whole one two of them to the byte."""
    monkeypatch.setattr(paramiko.packet.Packetizer, "REKEY_BYTES", 20_000)
    with session(app, limits=Limits(silent_s=3)) as opened:
        for _ in range(20):
            opened.bulk.send("send", "cat >/dev/null", "/", lambda into: into.write(b"x" * 20_000) and None)
        assert opened.run("on", "echo on=1").one("on") == "1"


def test_who_stops_reading_is_told_by_what_he_said(app: App) -> None:
    """Not as a line that dropped."""
    with session(app) as opened:
        with pytest.raises(StepFailed, match="send failed: No space left on device") as failed:
            opened.bulk.send("send", "sh -c 'echo No space left on device >&2; exit 2'", "/", pour)
        assert (failed.value.code, "inv prune" in failed.value.hint, opened.lost) == (2, True, False)


@pytest.mark.parametrize("at", ["before", "while"])
def test_a_line_that_drops_around_a_payload_is_known_to_be_lost(app: App, sshd: Sshd, at: str) -> None:
    """P12: so that whoever looks what is true connects anew."""
    with sshd.line() as line:
        app.address = line.address
        app.configure()
        with session(app) as opened:

            def write(into: Stream) -> None:
                line.cut()
                pour(into)

            if at == "before":
                line.cut()
            with pytest.raises(Unreachable if at == "before" else OutcomeUnknown):
                opened.bulk.send("send", "cat >/dev/null", "/", write)
            assert opened.lost


def test_what_a_profile_prints_is_no_part_of_what_is_received(app: App, tmp_path: Path) -> None:
    """Nor what it prints without the end of a line; more than a channel holds is given on all the same."""
    home = tmp_path / "account"
    home.mkdir()
    (home / ".bashrc").write_text("echo hello; printf oh; printf oh >&2\n")
    with Sshd(force_shell="bash", environment={"HOME": str(home)}) as noisy:
        app.address, app.ssh_config = noisy.address, noisy.ssh_config
        app.configure()
        given = bytes(range(256)) * 20_000
        with session(app) as opened, opened.bulk.receiving("send", "cat", "/", given) as read:
            received = bytearray()
            while len(received) < len(given):
                received += read(1 << 15)
            assert received == given


@pytest.mark.parametrize("error", [OutcomeUnknown("elsewhere", "send", "gone"), StepFailed("elsewhere", "send", 70)])
def test_what_fails_elsewhere_while_it_is_sent_is_told_as_it_is(app: App, error: Exception) -> None:
    """The line of another host is not this one's, and nothing of what was begun is left here."""
    with session(app) as opened:

        def write(into: Stream) -> None:
            into.write(b"x")
            until(lambda: (app.root / "sent").exists(), what="the beginning of what is sent to")
            raise error

        with pytest.raises(type(error), match="elsewhere"):
            opened.bulk.send("send", f"sh -c 'cat >{app.root}/sent; touch {app.root}/ended'", "/", write)
        assert not opened.lost
        assert opened.run("on", "echo on=1").one("on") == "1"
        until(lambda: (app.root / "ended").exists(), what="the end of what was begun")


def test_a_channel_that_the_host_refuses_is_no_lost_line(app: App, tmp_path: Path) -> None:
    """MaxSessions 1; the steps go on."""
    with Sshd(config="MaxSessions 1") as other:
        app.address, app.ssh_config = other.address, other.ssh_config
        app.configure()
        with session(app) as opened:
            with pytest.raises(Unreachable, match="no channel"):
                opened.bulk.send("send", "cat >/dev/null", "/", pour)
            assert not opened.lost
            assert opened.run("on", "echo on=1").one("on") == "1"


def test_a_script_that_no_host_takes_is_refused_at_once(app: App) -> None:
    """Linux has a limit for one argument; one byte less is run."""
    with session(app) as opened:
        fits = ": " + "x" * (ARGUMENT - 1 - len("600 : "))
        with pytest.raises(StepFailed, match=f"its script has {ARGUMENT} bytes"):
            opened.run("arm", f"{fits}x")
        opened.run("arm", fits)
        assert opened.run("on", "echo on=1").one("on") == "1"


def test_much_output_is_heard_whole_and_kept_in_part(app: App) -> None:
    """Of 8 MB on each stream nothing is left but the last words."""
    lines: list[str] = []
    talks = "i=0; while [ $i -lt 8 ]; do head -c 1000000 /dev/zero | tr '\\0' x; echo; i=$((i + 1)); done"
    with session(app) as opened:
        answer = opened.run("exec", f"{talks}; {{ {talks}; }} >&2", out=lines.append)
        assert ("".join(lines), answer.pairs) == ("x" * 8_000_000, ())
        assert max(map(len, lines)) <= 2 * KEPT
        with pytest.raises(StepFailed) as failed:
            opened.run("exec", f"{{ {talks}; }} >&2; echo the reason >&2; exit 3")
        assert "the reason" in str(failed.value)
        assert sum(map(len, failed.value.tail)) <= 2 * KEPT


def test_scripts_that_are_sent_together_are_answered_one_by_one(app: App) -> None:
    """Whatever bytes they hold."""
    scripts = [("echo a=1; echo heard >&2", 9.0), ("printf 'b=\x1e\\n%s\\n' 'c=\\n\x1d'", 9.0), ("echo d=4\n\n", 9.0)]
    with session(app) as opened:
        opened.ahead("one", scripts)
        answers = [opened.run("any", text, timeout_s=limit_s) for text, limit_s in scripts]
        assert [answer.pairs for answer in answers] == [
            (("a", "1"),),
            (("b", "\x1e"), ("c", "\\n\x1d")),
            (("d", "4"),),
        ]


def test_each_script_but_the_last_is_told_that_another_follows(app: App) -> None:
    """So that the journal is seen to the disk once for all of them."""
    scripts = [(f'echo "followed=${{SWITCHOVER_FOLLOWED:+yes}}{number}"', 9.0) for number in range(11)]
    with session(app) as opened:
        opened.ahead("one", scripts)
        told = [opened.run("any", text, timeout_s=limit_s).one("followed") for text, limit_s in scripts]
        assert told == [*(f"yes{number}" for number in range(10)), "10"]


def test_an_answer_that_nobody_waited_for_is_not_that_of_the_next_step(app: App) -> None:
    """P12: Ctrl-C may come while a step is carried, and its session still be asked what is true."""

    def press(line: str) -> None:
        raise KeyboardInterrupt

    with session(app) as opened:
        with pytest.raises(KeyboardInterrupt):
            opened.run("one", "echo a=1; sleep 0.3; echo a=2", out=press)
        assert opened.run("two", "echo b=1").pairs == (("b", "1"),)


def test_behind_a_script_that_fails_none_is_begun_that_was_sent_ahead(app: App, tmp_path: Path) -> None:
    """P2: what is asked for all the same is sent then, and what is asked for no more never runs."""
    first, second, third = (
        ("exit 3", 9.0),
        (f"echo 2 >>{tmp_path}/ran; echo b=2", 9.0),
        (f"echo 3 >>{tmp_path}/ran", 9.0),
    )
    with session(app) as opened:
        opened.ahead("one", [first, second, third])
        with pytest.raises(StepFailed, match="one failed"):
            opened.run("one", first[0], timeout_s=first[1])
        assert not (tmp_path / "ran").exists()
        assert opened.run("two", second[0], timeout_s=second[1]).one("b") == "2"
        assert opened.run("on", "echo on=1").one("on") == "1"
        assert (tmp_path / "ran").read_text() == "2\n"


def test_what_finds_something_has_answered_and_nothing_runs_behind_it(app: App, tmp_path: Path) -> None:
    """What differs is no failure of the comparison."""
    with session(app) as opened:
        opened.ahead("one", [("echo changed=a; exit 65", 9.0), (f"touch {tmp_path}/ran", 9.0)])
        assert opened.run("check", "echo changed=a; exit 65", timeout_s=9.0, finds=65).one("changed") == "a"
        assert opened.run("on", "echo on=1").one("on") == "1"
        assert not (tmp_path / "ran").exists()


def test_behind_the_last_step_the_lock_is_let_go_and_nothing_runs_without_it(app: App) -> None:
    """Whoever comes next has it before the session has ended; what is asked for all the same is refused here."""
    with session(app, locked=True) as first:
        first.ahead("one", [("echo a=1", 9.0)], last=True)
        assert first.run("one", "echo a=1", timeout_s=9.0).one("a") == "1"
        assert first.lost
        with session(app, locked=True) as second:
            assert second.run("two", "echo b=2").one("b") == "2"
        with pytest.raises(OutcomeUnknown, match="let go"):
            first.run("three", f"touch {app.root}/written")
    assert not (app.root / "written").exists()


def test_behind_a_step_that_fails_the_lock_is_kept(app: App) -> None:
    """There is something to take back."""
    with session(app, locked=True) as opened:
        opened.ahead("one", [("exit 3", 9.0)], last=True)
        with pytest.raises(StepFailed):
            opened.run("one", "exit 3", timeout_s=9.0)
        assert not opened.lost
        with pytest.raises(LockHeld), session(app, locked=True):
            pass
        assert opened.run("two", "echo b=2").one("b") == "2"


@pytest.mark.parametrize("code", [0, 3])
def test_what_waits_for_a_stream_may_be_sent_before_it_has_ended(app: App, code: int) -> None:
    """The lock is held from before we are told until the command has ended, and says whether that went well."""
    hold = app.root / "arriving"
    late = f"flock {hold} cat {hold}"
    with session(app) as opened:

        def behind() -> None:
            assert subprocess.run(["flock", "-n", str(hold), "true"]).returncode
            opened.ahead("late", [(late, 9.0)])

        slow = f"sh -c 'cat >/dev/null; sleep 0.3; exit {code}'"
        opened.bulk.expect(slow, str(app.root), str(hold))
        with pytest.raises(StepFailed) if code else nullcontext():
            opened.bulk.send("send", slow, str(app.root), pour_one, hold=str(hold), behind=behind)
        opened.run("late", late, timeout_s=9.0)
    assert bool(hold.read_text()) is not bool(code)


def test_what_waits_for_a_stream_is_kept_by_beats_and_goes_without_them(app: App) -> None:
    """P5: a client that sleeps leaves nothing on the host for longer than its lock."""
    with session(app, limits=Limits(lock_s=1)) as opened:
        opened.bulk.expect(f"cat >{app.root}/sent", "/")
        opened.bulk.expect(f"cat >{app.root}/never", "/")
        opened.run("busy", "sleep 2.5")
        opened.bulk.send("send", f"cat >{app.root}/sent", "/", pour_one)
        assert (app.root / "sent").read_text() == "x"
        opened.line.gone.set()  # as if it slept: no beat any more
        (left,) = [spare.channel for spare in opened.bulk._spares.values()]
        assert left
        until(left.exit_status_ready, what="the end of what waits")
    assert not (app.root / "never").exists()


@pytest.mark.parametrize("held", [True, False], ids=["locked", "not to be had"])
def test_nothing_is_sent_behind_a_stream_that_cannot_be_waited_for(app: App, held: bool) -> None:
    """The lock is that of a tar that a dead deploy has left, which may go on for ever; or there is none."""
    hold, sent = app.root / ("arriving" if held else "no/such/place"), list[str]()
    with session(app) as opened, ExitStack() as stack:
        if held:
            other = stack.enter_context(subprocess.Popen(["flock", str(hold), "cat"], stdin=subprocess.PIPE))
            until(lambda: hold.exists() and subprocess.run(["flock", "-n", str(hold), "true"]).returncode)
            stack.callback(other.communicate)
        behind = partial(sent.append, "it")
        opened.bulk.send("send", "cat >/dev/null", str(app.root), pour_one, hold=str(hold), behind=behind)
    assert not sent


def test_a_host_that_takes_only_short_commands_is_sent_the_rest_as_steps(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Dropbear, which refuses what is longer than 9 000 bytes."""
    monkeypatch.setattr(Line, "takes_much", False)
    commands: list[str] = []
    monkeypatch.setattr("releases.line.execute", lambda channel, line: commands.append(line) or execute(channel, line))
    first = [("echo a=1 # " + os.urandom(9_000).hex(), 9.0)]
    with session(app, first=first) as opened:
        assert opened.run("one", first[0][0], timeout_s=9.0).one("a") == "1"
    assert [len(line) < 9_000 for line in commands] == [True]


def test_a_line_that_drops_ends_what_was_sent_together(app: App, tmp_path: Path) -> None:
    """P5: the step that runs, and those behind it."""
    with session(app) as opened:
        opened.ahead("one", [(f"echo $$ >{tmp_path}/pid; sleep 600", 900.0), (f"touch {tmp_path}/ran", 9.0)])
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), what="the step")
        opened.connection.transport.close()
        pid = (tmp_path / "pid").read_text().strip()
        until(lambda: not Path(f"/proc/{pid}").exists(), what="the end of the step")
    assert not (tmp_path / "ran").exists()
