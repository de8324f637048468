"""Lines that say nothing, and a client that sleeps while its lock goes to another."""

import time
from pathlib import Path

from tests.app import until
from tests.faults.fault import Fault, expected
from tests.faults.invariants import locked, mended, settled
from tests.faults.scene import Scene
from tests.faults.site import Site
from tests.faults.stage import alive

# As by default, but shorter: 20 s, of which 5 are borne in silence, and 60.
SHORT = "[connection]\nconnect_s = 2\nsilent_s = 3\nlock_s = 5\n"
BORNE, BORNE_S = "[connection]\nsilent_s = 4\n", 1.0


def _held(scene: Scene) -> str:
    """Nobody notices: all that was said arrives later."""
    scene.block()
    scene.stage.line.hold()
    scene.stage.gate.admit()
    time.sleep(BORNE_S)  # nothing to wait for: the time is the fault
    scene.stage.line.pass_()
    code = scene.end().code
    assert code == 0, scene.client.events[-4:]
    return f"{mended(scene, confirmed=bool(scene.verb.new))} {code}"


def _silent(scene: Scene) -> str:
    """P12: the client gives the line up, and cannot look; the host gives the client up."""
    scene.block()
    scene.stage.line.swallow()
    scene.stage.gate.admit()
    code = scene.end().code
    assert code in (14, *expected(scene)), scene.client.events[-4:]
    until(lambda: not locked(scene.site), what="the lock")
    scene.stage.line.cut()  # as when sshd learns of it: what unpacks a stream has waited for more of it
    return f"{mended(scene, confirmed=None)} {code}"


def _suspended(scene: Scene) -> str:
    """P5: it wakes while another deploy goes on, which is none of its business any more."""
    pid, client, site = scene.reach(), scene.client, scene.site
    client.stop()
    scene.stage.gate.admit()
    if scene.step == "send":
        scene.stage.line.cut()
    until(lambda: not alive(pid), what="the end of the step")
    until(lambda: settled(scene.stage, site) or (scene.verb.before == "armed" and not site.locked), what="the lock")
    if not scene.said:
        scene.number = 0  # it was not begun: the other takes its number
    other, go = _other(scene), site.root.parent / "go"
    process = other.start("deploy", "--host", "prod")
    until(lambda: process.poll() is not None or _prepares(site), what="the other deploy")
    client.wake()
    until(lambda: client.ended or client.has_said("reconnecting"), what="its awakening")
    go.touch()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    code = scene.end().code
    done = () if scene.verb.new else (0,)  # what changes nothing may have its answer already
    assert code in (14, *done, *expected(scene)), client.events[-4:]
    return f"{mended(scene, confirmed=False, live='v7')} {code}"


def _other(scene: Scene) -> Site:
    """The same application, deployed from elsewhere, which waits in its prepare until it is told to go."""
    home = scene.site.root.parent
    other = Site(home / "other" / "shop", scene.site.root, scene.stage.plain.address, scene.stage.sshd.ssh_config)
    more = scene.verb.more.replace('["cp ', f'["until [ -e {home}/go ]; do sleep 0.05; done", "cp ')
    other.configure(more, settle_s=0.05)
    other.write("v7")
    return other


def _prepares(site: Site) -> bool:
    """Is the last deploy in its prepare?"""
    begun = [event for event in site.journal if event.get("step") == "prepare" and event["state"] == "begin"]
    return bool(begun) and begun[-1]["deploy"] == site.last["deploy"] and not Path(site.root.parent / "go").exists()


SILENCE = (
    Fault("held", "nothing passes in either direction for a quarter of silent_s, and all of it later", _held, BORNE),
    Fault("silent", "the line swallows everything, and tells nobody", _silent, SHORT),
    Fault("suspended", "SIGSTOP until the lock has gone, SIGCONT while another deploy goes on", _suspended, SHORT),
)
