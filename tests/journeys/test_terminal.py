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


@pytest.fixture
def switching(app: App) -> App:
    """v1 is live, and a switch to v2 takes its time."""
    app.deploy("v1")
    app.configure(settle_s=2)
    app.write("v2")
    return app


def test_ctrl_c_during_the_switch_asks_and_who_says_so_goes_on(switching: App) -> None:
    """Whatever was pressed before the question is no answer."""
    with Terminal(switching, "deploy") as terminal:
        terminal.until("switch  settled")
        terminal.press(b"t\n")
        terminal.press(CTRL_C)
        terminal.until("Go on, or take back?")
        terminal.press(b"g\n")
        assert terminal.end() == 0
        assert terminal.is_as_it_was
    assert switching.live == "v2"


def test_ctrl_c_twice_takes_back_at_once(switching: App) -> None:
    """And gives the terminal back."""
    with Terminal(switching, "deploy") as terminal:
        terminal.until("switch  settled")
        terminal.press(CTRL_C)
        terminal.until("Go on, or take back?")
        terminal.press(CTRL_C)
        assert terminal.end() == 12
        assert terminal.is_as_it_was
        assert "all is taken back at once" in terminal.screen
    assert switching.live == "v1"
