"""A line that was lost is opened again: who holds the lock there, and what becomes of a try that failed."""

from collections.abc import Mapping
from typing import Any

import pytest

from releases import locking as module
from releases.answer import Answer
from releases.errors import LockHeld, Refused, ReleaseError, Unreachable
from releases.fleet import Fleet
from releases.targets import Target
from tests.hosts import ANA, config


class Heard:
    """A `Report` nobody reads."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str, host: str = "") -> None:
        """As `Report.say`."""
        self.said.append(line)


class Lines:
    """What a `Dialing` and a `Session` do: each try meets the next of *meets*, and then there is a session."""

    def __init__(self, *meets: ReleaseError) -> None:
        self.meets, self.opened, self.closed = list(meets), 0, 0
        self.lost = False

    def open(self, target: Target) -> "Lines":
        """A connection."""
        self.opened += 1
        return self

    def close(self) -> None:
        """It is closed."""
        self.closed += 1

    def session(self, connection: "Lines", name: str, **more: Any) -> "Lines":
        """A session over it, or why there is none."""
        if self.meets:
            raise self.meets.pop(0)
        return self

    def run(self, name: str, script: str, **more: Any) -> Answer:
        """What any step answers."""
        return Answer()


def fleet(lines: Lines, monkeypatch: pytest.MonkeyPatch, *names: str) -> Fleet:
    """One whose lines are *lines*."""
    monkeypatch.setattr(module, "Session", lines.session)
    targets = tuple(Target.at(name, group="prod", config=config()) for name in names or ("web1",))
    report: Any = Heard()
    return Fleet(targets, report, ANA, lines)  # type: ignore[arg-type]


def held(by: Fleet, name: str) -> LockHeld:
    """The lock of one of its hosts, as another session meets it."""
    holder: Mapping[str, str] = by.locking._holder(name)
    return LockHeld("web1", "ana on laptop", mark=holder["mark"])


def test_the_lock_of_our_own_dead_session_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that died silently leaves it behind until the host gives that session up."""
    lines = Lines()
    mine = fleet(lines, monkeypatch)
    lines.meets = [held(mine, "web1"), held(mine, "web1")]
    mine.rejoin("web1", within_s=60)
    assert mine.reaches("web1")


def test_our_own_lock_under_another_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two names of one root."""
    lines = Lines()
    mine = fleet(lines, monkeypatch, "web1", "web2")
    lines.meets = [held(mine, "web1")]
    with pytest.raises(Refused, match="web1 and web2 are one root"):
        mine.rejoin("web2", within_s=60)


@pytest.mark.parametrize("error", [Unreachable("web1: no channel"), LockHeld("web1", "ben on desk")])
def test_the_connection_of_a_try_without_a_session_is_closed(
    error: ReleaseError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is tried, one is left."""
    lines = Lines(error)
    fleet(lines, monkeypatch).rejoin("web1", within_s=60)
    assert lines.opened - lines.closed == 1


def test_no_error_is_its_own_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever walks along the causes would never come to an end."""
    refused = Refused("web1: it has no flock")
    with pytest.raises(Refused) as raised:
        fleet(Lines(refused), monkeypatch).rejoin("web1", within_s=60)
    assert raised.value.__cause__ is None
