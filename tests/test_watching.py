"""A batch that is watched: its hosts are looked at, and the check of the team runs, until its time is over."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from releases.carry import Carriage
from releases.plan import Batch, Plan
from releases.working import Work


@pytest.fixture
def carriage(monkeypatch: pytest.MonkeyPatch) -> Carriage:
    """One whose hosts are always well."""
    monkeypatch.setattr(Work, "on_all", lambda self, phase, names, do: True)
    fleet: Any = SimpleNamespace(report=SimpleNamespace(say=lambda *_: None))
    return Carriage(Plan("deploy", 1, None, None, {"web1": ()}), fleet, lambda *_: None)


def test_a_check_that_fails_while_a_canary_is_watched_ends_it(carriage: Carriage, tmp_path: Path) -> None:
    """It runs again and again, not only once the time is over: here it fails the second time."""
    once = f"[ ! -e {tmp_path}/once ] && touch {tmp_path}/once"
    assert not carriage._watched(Batch(("web1",), 3600, once))
    assert "strategy.check" in str(carriage.work.failed[""])


def test_where_nobody_watches_the_check_runs_once(carriage: Carriage, tmp_path: Path) -> None:
    """Before the next batch."""
    assert carriage._watched(Batch(("web1",), 0, f"echo ran >>{tmp_path}/runs"))
    assert (tmp_path / "runs").read_text() == "ran\n"
