"""On a terminal: a table while hosts are at work, and a question for who presses Ctrl-C."""

import pytest

from tests.app import App
from tests.terminal import CTRL_C, HIDE, Terminal

pytestmark = pytest.mark.journey


def test_ctrl_c_before_the_switch_leaves_the_terminal_as_it_was(app: App) -> None:
    """The step is ended with its session; nothing was switched, and nothing is asked."""
    app.configure('[prepare]\ncommands = ["sleep 60"]\n')
    app.write("v1")
    with Terminal(app, "deploy") as terminal:
        terminal.until("stage  prepare")
        terminal.press(CTRL_C)
        assert terminal.end() == 11
        assert HIDE in terminal.screen
        assert terminal.is_as_it_was
        assert "go on or take back?" not in terminal.screen
    assert app.live == ""
