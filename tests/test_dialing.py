"""Connections that are opened early: what became of one long ago says nothing of now."""

from typing import Any

import pytest

from releases import dialing
from releases.config import Target
from releases.dialing import Dialing
from releases.errors import Unreachable
from tests.hosts import config


def test_a_host_that_comes_up_while_the_build_runs_is_called_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was down when the command began, or the build opens the tunnel that leads there."""
    monkeypatch.setattr(dialing, "FRESH_S", 0.0)
    answers: list[Any] = [Unreachable("web1: refused"), "connected"]

    def connect(target: Target) -> Any:
        if isinstance(answer := answers.pop(0), Exception):
            raise answer
        return answer

    monkeypatch.setattr("releases.connection.connect", connect)
    target = Target.at("web1", group="prod", config=config())
    assert Dialing([target]).take(target) == "connected"


def test_who_was_down_a_moment_ago_is_not_called_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take as long once more until that is said."""
    calls = list[Target]()

    def connect(target: Target) -> Any:
        calls.append(target)
        raise Unreachable("web1: refused")

    monkeypatch.setattr("releases.connection.connect", connect)
    target = Target.at("web1", group="prod", config=config())
    with pytest.raises(Unreachable):
        Dialing([target]).take(target)
    assert len(calls) == 1
