"""Clients, lines and shells that end in the middle of a command, or are asked to."""

import os
import signal
from functools import partial

from releases.plan import Phase
from tests.app import until
from tests.faults.fault import Fault, expected
from tests.faults.invariants import mended
from tests.faults.scene import Scene, name, parent, session
from tests.faults.stage import alive
from tests.faults.verbs import AGAIN


def _killed_before(scene: Scene) -> str:
    pid = scene.reach()
    scene.client.kill()
    scene.stage.drain(pid)
    return mended(scene, confirmed=scene.verb.confirmed(scene.step, inside=False))


def _killed_inside(scene: Scene) -> str:
    pid = scene.block()
    scene.client.kill()
    scene.stage.drain(pid)
    return mended(scene, confirmed=scene.verb.confirmed(scene.step, inside=True))


def _killed_after(scene: Scene) -> str:
    """It is stopped while the step runs, so that it sends no other, and killed once that has ended."""
    pid = scene.reach()
    scene.client.stop()
    scene.stage.gate.admit()
    streams = scene.step == "send"
    until(lambda: not alive(pid) or (streams and _goes_on(scene)), what="the end of the step")
    scene.client.kill()
    phase = scene.verb.phase(scene.step)
    return mended(scene, confirmed=bool(scene.verb.new and phase and phase >= Phase.CONFIRM))


def _goes_on(scene: Scene) -> bool:
    """For a moment: it may have been stopped in the middle of what it sends."""
    scene.client.wake()
    scene.client.stop()
    return False


def _asked_to_end(sign: int, times: int, scene: Scene) -> str:
    """Before the switch it ends the step at once, from then on once that has ended, or when it is asked again."""
    pid, client = scene.block(), scene.client
    client.signal(sign)
    until(lambda: client.ended or client.has_said("interrupted"), what="a word")
    if times == 2:
        client.signal(sign)
        scene.stage.drain(pid)
    else:
        scene.stage.gate.admit()
    code = scene.end().code
    assert code in expected(scene), client.events[-5:]
    return f"{mended(scene, confirmed=code == 0 and bool(scene.verb.new))} {code}"


def _cut(scene: Scene) -> str:
    """P12: the client says so, looks, and reports what is true."""
    pid, client = scene.block(), scene.client
    scene.stage.line.cut()
    scene.stage.drain(pid)
    code = scene.end().code
    assert code in expected(scene), client.events[-4:]
    if code and scene.verb.phase(scene.step):
        assert f"the line dropped during {scene.step.removesuffix(AGAIN)}" in client.why
        assert client.has_said("to see what is true")
    return f"{mended(scene, confirmed=scene.verb.confirmed(scene.step, inside=True))} {code}"


def _step_killed(scene: Scene) -> str:
    """P12: a step that dies has failed."""
    pid = call = scene.block()
    while alive(pid) and name(parent(pid)) not in ("timeout", "python3", "sshd", "systemd"):
        pid = parent(pid)
    hit = alive(pid)
    if hit:  # it may have been quicker this time
        os.kill(pid, signal.SIGKILL)
    scene.stage.gate.open()
    scene.stage.drain(call)
    code = scene.end().code
    assert code in expected(scene) or (code == 0 and not hit), scene.client.events[-4:]
    return f"{mended(scene, confirmed=None)} {code}"


def _session_killed(scene: Scene) -> str:
    """P12: a session that dies is missed; what it ran goes on to its end."""
    pid = scene.block()
    if alive(pid):
        os.kill(session(scene.site, pid), signal.SIGKILL)
        scene.stage.gate.admit()
    code = scene.end().code
    assert code in (0, *expected(scene)), scene.client.events[-4:]
    return f"{mended(scene, confirmed=None)} {code}"


ENDS = (
    Fault("killed-before", "kill -9 of the client before the step begins", _killed_before),
    Fault("killed-inside", "kill -9 of the client in the middle of the step's script", _killed_inside),
    Fault("killed-after", "kill -9 of the client once the step has ended", _killed_after),
    Fault("sigint", "SIGINT in the middle of the step", partial(_asked_to_end, signal.SIGINT, 1)),
    Fault("sigint-twice", "SIGINT, and again", partial(_asked_to_end, signal.SIGINT, 2)),
    Fault("sigterm", "SIGTERM in the middle of the step", partial(_asked_to_end, signal.SIGTERM, 1)),
    Fault("sigterm-twice", "SIGTERM, and again", partial(_asked_to_end, signal.SIGTERM, 2)),
    Fault("cut", "the line is reset in the middle of the step", _cut),
    Fault("step-killed", "kill -9 of the step's shell on the host", _step_killed),
    Fault("session-killed", "kill -9 of the session's shell on the host", _session_killed),
)
