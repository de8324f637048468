"""What a report leaves behind: a terminal with its cursor, and a last word for programs."""

import io
import json

import pytest

from releases.errors import ReleaseError
from releases.outcome import Outcome
from releases.plan import Phase, Plan, Step
from releases.report import Report

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Terminal(io.StringIO):
    """Somebody watches."""

    def isatty(self) -> bool:
        """Yes."""
        return True


SEND = Step("send", {}, "", Phase.STAGE)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal with a cursor."""
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


@pytest.mark.parametrize("how", ["outcome", "error", "release_terminal"])
def test_a_table_that_is_cut_short_gives_the_cursor_back(how: str, screen: Terminal) -> None:
    """However it ends."""
    report = Report(err=screen)
    for host in ("web1", "web2"):
        report.began_step(host, SEND)
        report.sent(host, 1, 2)
    assert HIDE in screen.getvalue()
    assert SHOW not in screen.getvalue()
    ends = {
        "outcome": lambda: report.outcome(Outcome("unchanged", why="interrupted")),
        "error": lambda: report.error(ReleaseError("the line dropped")),
        "release_terminal": report.release_terminal,
    }
    ends[how]()
    assert screen.getvalue().rfind(SHOW) > screen.getvalue().rfind(HIDE)


def test_a_step_of_a_host_that_is_late_draws_nothing_behind_the_last_word(screen: Terminal) -> None:
    """Its thread may not have ended yet."""
    report = Report(err=screen)
    report.began_step("web1", SEND)
    report.outcome(Outcome("unchanged", why="interrupted"))
    report.began_step("web1", SEND)
    assert screen.getvalue().rfind(SHOW) > screen.getvalue().rfind(HIDE)


def test_what_hosts_say_scrolls_by_above_the_table(screen: Terminal) -> None:
    """Whole, and without what would move the cursor."""
    report = Report(err=screen)
    report.began_step("web1", SEND)
    report.say("\x1b[2Jbuilding [red]things[/red] " + "x" * 200, "web1")
    report.release_terminal()
    assert "web1: building [red]things[/red] " + "x" * 200 in screen.getvalue().replace("\r\n", "")
    assert "\x1b[2J" not in screen.getvalue()


@pytest.mark.parametrize(("term", "watched"), [("dumb", True), ("xterm", False)])
def test_where_no_cursor_can_be_moved_steps_are_plain_lines(
    term: str, watched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log, or a terminal in an editor."""
    monkeypatch.setenv("TERM", term)
    report = Report(err=(screen := Terminal() if watched else io.StringIO()))
    report.began_step("web1", SEND)
    report.sent("web1", 1, 2)
    assert screen.getvalue().endswith("s web1  send\n")
    assert "\x1b" not in screen.getvalue()


def test_programs_get_no_table(screen: Terminal) -> None:
    """Only objects, and what became of each host with the last of them."""
    report = Report(as_json=True, out=(out := io.StringIO()), err=screen)
    report.began_step("web1", SEND)
    report.sent("web1", 1, 2)
    report.failed_step("web1", SEND, "web1: send failed: no space")
    report.outcome(Outcome("live", hosts={"web1": "live: B"}))
    assert screen.getvalue() == ""
    failed, last = map(json.loads, out.getvalue().splitlines()[1:])
    assert (failed["state"], failed["why"]) == ("failed", "web1: send failed: no space")
    assert last["hosts"] == {"web1": "live: B"}


def test_of_many_hosts_what_is_true_of_most_is_said_once() -> None:
    """And each of the others has a line."""
    words = {f"web{i}": "live: B" for i in range(1, 51)} | {"web7": "live: A", "web30": "live: A"}
    assert Outcome("partial", hosts=words).table == ("48 hosts  live: B", "web7      live: A", "web30     live: A")
    few = dict(list(words.items())[:10])
    assert len(Outcome("partial", hosts=few).table) == 10
    each = {f"web{i}": f"live: {i}" for i in range(11)}
    assert len(Outcome("partial", hosts=each).table) == 11


def test_one_host_that_is_live_needs_no_table() -> None:
    """The line says it all; several get one."""
    for hosts, lines in (({"web1": "live: B"}, 1), ({"web1": "live: B", "web2": "live: B"}, 3)):
        report = Report(err=(log := io.StringIO()))
        report.outcome(Outcome("live", release="B", hosts=hosts))
        assert len(log.getvalue().splitlines()) == lines


def test_one_host_does_not_differ_from_itself() -> None:
    """It was taken back in part, and so were several of which the same is true; else they differ."""
    part, both = "failed, taken back in part", {"web1": "live: A", "web2": "live: B"}
    same = dict.fromkeys(both, "live: A, not taken back whole")
    for hosts, words in (({"web1": "live: A"}, part), (same, part), (both, "hosts differ")):
        report = Report(err=(log := io.StringIO()))
        report.outcome(Outcome("partial", release="B", why="no", hosts=hosts))
        assert log.getvalue().startswith(f"{words} after ")


@pytest.mark.parametrize(
    ("code", "name"), [(0, "done"), (2, "refused"), (5, "refused"), (10, "refused"), (11, "unchanged"), (13, "partial")]
)
def test_the_last_word_says_what_the_exit_code_means(code: int, name: str) -> None:
    """Once; nothing where people read."""
    out = io.StringIO()
    for as_json in (True, False):
        report = Report(as_json=as_json, out=out)
        report.end(code)
        report.end(0)
    (word,) = map(json.loads, out.getvalue().splitlines())
    assert (word["event"], word["outcome"], word["exit"], word["release"]) == ("outcome", name, code, "")


def test_an_outcome_is_the_last_word() -> None:
    """Of a command that has one."""
    report = Report(as_json=True, out=(out := io.StringIO()))
    report.outcome(Outcome("live"))
    report.end(0)
    assert len(out.getvalue().splitlines()) == 1


def test_no_release_is_called_none() -> None:
    """Of a plan where nothing is live."""
    report = Report(as_json=True, out=(out := io.StringIO()))
    report.plan(Plan("prune", 1, None, None, {}))
    assert json.loads(out.getvalue())["release"] == ""


@pytest.mark.parametrize("how", ["outcome", "end", "silence"])
def test_nothing_follows_the_last_word_for_programs(how: str) -> None:
    """A step may end after it that was left to itself, when Ctrl-C was pressed often enough."""
    out = io.StringIO()
    report = Report(as_json=True, out=out, err=io.StringIO())
    {
        "outcome": lambda: report.outcome(Outcome("unchanged", why="interrupted")),
        "end": lambda: report.end(11),
        "silence": report.silence,
    }[how]()
    last = out.getvalue()
    report.failed_step("web1", SEND, "the connection was closed")
    report.say("reconnecting", "web1")
    assert out.getvalue() == last
