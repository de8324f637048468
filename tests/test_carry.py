"""What a failure means, whoever made it."""

from types import SimpleNamespace
from typing import Any

import pytest

from releases.carry import Carriage
from releases.plan import Phase, Plan, Step
from tests.hosts import A, B


def test_a_mistake_of_our_own_ends_the_phase_as_a_failure_does(capsys: pytest.CaptureFixture[str]) -> None:
    """It must not reach `confirm`."""

    def each(*args: object) -> None:
        raise KeyError("template")

    fleet: Any = SimpleNamespace(each=each)
    carriage = Carriage(Plan("deploy", 1, B, A, {"web1": (Step("publish", {}, ""),)}), fleet, lambda *args: None)
    assert not carriage._phase(Phase.SWITCH)
    assert str(carriage.failed[""]) == "KeyError: 'template'"
    assert "Traceback" in capsys.readouterr().err
