"""A session over a real sshd: what is too much, too long or too late ends it with one line, and never hangs."""

import os
from pathlib import Path

import pytest

from releases.channels import execute
from releases.errors import LockHeld, OutcomeUnknown, StepFailed
from releases.line import Line
from releases.lines import ARGUMENT
from releases.streams import KEPT
from tests.app import App, until
from tests.opened import session

pytestmark = pytest.mark.journey


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
