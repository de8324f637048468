"""What a fault is, and what a command may end with that met one."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from releases.plan import Phase
from tests.faults.scene import Scene
from tests.faults.verbs import Verb

Place = Callable[[Path], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Fault:
    """*inflict* does it to a scene, waits for its end, holds the host to its promises, and says what was seen.

    *more* stands in deploy.toml; *place* makes what is needed of the directory in which the site will be.
    """

    name: str
    says: str
    inflict: Callable[[Scene], str]
    more: str = ""
    place: Place = nullcontext


def expected(scene: Scene) -> tuple[int, ...]:
    """The exit codes of its verb, whose step came to grief."""
    return allowed(scene.verb, scene.step)


def allowed(verb: Verb, step: str) -> tuple[int, ...]:
    """The exit codes of *verb*, of which one *step* came to grief.

    Of several hosts that are about to be confirmed the others may be when one cannot be: they differ then.
    """
    phase = verb.phase(step)
    if phase is None:
        # What changes a host and writes no journal is unknown when its line drops.
        return (10, 11, 14) if step == verb.name else (10, 11)
    if verb.overtakes(step):
        return (11, 12)
    if phase is Phase.CONFIRM and verb.beside:
        return (0, 12, 13)
    return {Phase.SWITCH: (11, 12), Phase.CONFIRM: (0, 12), Phase.AFTER: (0,)}.get(phase, (11,))
