"""Commands on the controller: how they end, and what is left of them then."""

import threading
from pathlib import Path

import pytest

from releases.errors import CommandFailed
from releases.local import run
from releases.plan import HERE, Step
from tests.test_rejoining import Lines, fleet

SLOW = "trap 'echo drained >>log; exit 1' TERM; echo out; exec 1>&- 2>&-; while :; do sleep 0.1; done"


def test_who_is_ended_has_ended_when_that_is_told(tmp_path: Path) -> None:
    """Its last words are written by then, also where it says nothing any more."""
    ended = threading.Event()
    with pytest.raises(CommandFailed, match="was ended"):
        run("drain", SLOW, directory=tmp_path, timeout_s=60, say=lambda line: ended.set(), ended=ended)
    assert (tmp_path / "log").read_text() == "drained\n"


def test_a_command_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    """It has not ended yet."""
    run("drain", "exec 1>&- 2>&-; sleep 0.2; echo done >log", directory=tmp_path, timeout_s=60, say=print)
    assert (tmp_path / "log").read_text() == "done\n"
    with pytest.raises(CommandFailed, match=r"was not done after 0\.2 s"):
        run("drain", "exec 1>&- 2>&-; sleep 60", directory=tmp_path, timeout_s=0.2, say=print)


def test_closing_the_fleet_ends_what_drains_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it might be done after the host was brought back, which then would be out for good."""
    monkeypatch.chdir(tmp_path)
    mine, out = fleet(Lines(), monkeypatch), threading.Event()
    monkeypatch.setattr(mine.report, "say", lambda line, host="": out.set())
    told = (("drain", SLOW), ("undrain", "echo back >>log"))
    drain, undrain = (Step(name, {"command": text, "environment": {}}, "", via=HERE) for name, text in told)
    failed: list[CommandFailed] = []

    def drains() -> None:
        try:
            mine.run("web1", drain)
        except CommandFailed as error:
            failed.append(error)

    draining = threading.Thread(target=drains)
    draining.start()
    assert out.wait(30)
    mine.close()
    mine.run("web1", undrain)
    draining.join(30)
    assert failed
    assert (tmp_path / "log").read_text() == "drained\nback\n"
