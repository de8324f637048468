"""Bulk data beside a session over a real sshd: what is sent and received, and what is sent behind it."""

import subprocess
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path

import paramiko
import pytest

from releases.errors import OutcomeUnknown, StepFailed, Unreachable
from releases.settings import Limits
from releases.streams import Stream
from tests.app import App, until
from tests.opened import session
from tests.sshd import Sshd

pytestmark = pytest.mark.journey


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
