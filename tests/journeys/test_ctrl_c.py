"""Ctrl-C during the switch: the step that runs is finished first, and its answer is nobody else's."""

import json
import signal

import pytest

from tests.app import App

pytestmark = pytest.mark.journey


def test_ctrl_c_waits_for_the_step_that_runs_before_anything_is_taken_back(app: App) -> None:
    """Python's own `Thread.join` says after a KeyboardInterrupt that a thread has ended which has not."""
    app.deploy("v1")
    app.configure(settle_s=2)
    app.write("v2")
    events = []
    with app.start("deploy", "--json") as process:
        assert process.stdout
        for line in process.stdout:
            events.append(json.loads(line))
            if (events[-1].get("step"), events[-1].get("state")) == ("settled", "begin"):
                process.send_signal(signal.SIGINT)
    assert (process.returncode, events[-1]["outcome"], app.live) == (12, "reverted", "v1")
    steps = [(event["step"], event["state"]) for event in events if event["event"] == "step"]
    assert steps[steps.index(("settled", "begin")) + 1 :] == [
        ("settled", "end"),
        ("takeback", "begin"),
        ("takeback", "end"),
    ]
