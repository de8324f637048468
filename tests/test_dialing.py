"""Connections that are opened early: what became of one long ago says nothing of now."""

import threading
from typing import Any

import pytest

from releases import dialing
from releases.addresses import Destination
from releases.dialing import Dialing
from releases.errors import Unreachable


@pytest.fixture(autouse=True)
def _nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are no such hosts."""
    monkeypatch.setattr(dialing, "begun", lambda place: None)


WEB1, WEB2 = (Destination(name, "", name, None) for name in ("web1", "web2"))


def called(*places: Destination) -> Dialing:
    """Who is called early."""
    dialing = Dialing()
    dialing.call(places)
    return dialing


def test_a_host_that_comes_up_while_the_build_runs_is_called_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was down when the command began, or the build opens the tunnel that leads there."""
    monkeypatch.setattr(dialing, "FRESH_S", 0.0)
    answers: list[Any] = [Unreachable("web1: refused"), "connected"]

    def connect(place: Destination, **_: object) -> Any:
        if isinstance(answer := answers.pop(0), Exception):
            raise answer
        return answer

    monkeypatch.setattr("releases.connection.connect", connect)
    assert called(WEB1).take(WEB1) == "connected"


def test_who_was_down_a_moment_ago_is_not_called_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take as long once more until that is said."""
    calls = list[Destination]()

    def connect(place: Destination, **_: object) -> Any:
        calls.append(place)
        raise Unreachable("web1: refused")

    monkeypatch.setattr("releases.connection.connect", connect)
    with pytest.raises(Unreachable):
        called(WEB1).take(WEB1)
    assert len(calls) == 1


def test_who_was_called_early_and_is_not_meant_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checked file has the last word; whoever it means is called once."""
    calls, closed = list[str](), threading.Event()

    class Opened:
        def __init__(self, name: str) -> None:
            calls.append(name)
            self.name = name

        def close(self) -> None:
            closed.set()

    monkeypatch.setattr("releases.connection.connect", lambda place, **_: Opened(place.name))
    dialing = called(WEB1)
    dialing.call([WEB2])
    assert closed.wait(30)
    assert (dialing.take(WEB2).name, sorted(calls)) == ("web2", ["web1", "web2"])  # type: ignore[attr-defined]
