"""A line that drops before there is a plan: what was asked for was not begun, and that is known."""

from pathlib import Path

import pytest

from tests.app import App
from tests.conftest import require
from tests.gate import Gate
from tests.sshd import Sshd

pytestmark = pytest.mark.journey


@pytest.mark.parametrize("words", [("deploy", "--json"), ("status", "--json")])
def test_a_line_that_drops_during_the_survey_leaves_nothing_unknown(tmp_path: Path, words: tuple[str, ...]) -> None:
    """P12: 10, as for a host that cannot be reached, and not 14."""
    require(Sshd.missing())
    gate = Gate(tmp_path / "gate")
    with Sshd(force_shell="sh", environment={"PATH": str(gate.bin)}) as sshd, sshd.line() as line:
        app = App(tmp_path / "shop", tmp_path / "srv", line.address, sshd.ssh_config)
        app.deploy("v1")
        app.write("v2")
        gate.close()
        process = app.start(*words)
        assert gate.arrived()[0] == "step"
        line.cut()
        out, err = process.communicate(timeout=60)
        gate.reset()
        assert process.returncode == 10, (out, err)
        assert '"outcome":"refused"' in out.replace(" ", "")
        assert "nothing was begun" in out
        assert app.live == "v1"
