"""What a report leaves behind: a terminal with its cursor, and a last word for programs."""

import io
import json

import pytest

from releases.errors import ReleaseError
from releases.outcome import Outcome
from releases.plan import Plan
from releases.report import Report

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Terminal(io.StringIO):
    """Somebody watches."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.mark.parametrize("how", ["outcome", "error", "release_terminal"])
def test_a_transfer_that_is_cut_short_gives_the_cursor_back(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it ends."""
    monkeypatch.setenv("TERM", "xterm")
    report = Report(err=(screen := Terminal()))
    report.sent("web1", 1, 2)
    report.sent("web2", 2, 2)
    assert HIDE in screen.getvalue()
    assert SHOW not in screen.getvalue()
    ends = {
        "outcome": lambda: report.outcome(Outcome("unchanged", why="interrupted")),
        "error": lambda: report.error(ReleaseError("the line dropped")),
        "release_terminal": report.release_terminal,
    }
    ends[how]()
    assert screen.getvalue().rfind(SHOW) > screen.getvalue().rfind(HIDE)


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
