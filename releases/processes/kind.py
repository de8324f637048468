"""What every kind of app server can do; a new kind is one more module like its siblings and a line in `kinds`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from ..answer import Answer
from ..facts import Facts, Running
from ..layout import Release
from ..plan import Phase, Step, Verdict


@dataclass(frozen=True, slots=True)
class Switch:
    """One change of what is live: number *number* makes *release* live in place of *previous*.

    *replaced*: what the processes run in has changed (``[prepare] environment``), so that a reload is not enough.
    """

    root: PurePosixPath
    number: int
    release: Release
    previous: Release | None
    replaced: bool = False


class Kind(Protocol):
    """One process of deploy.toml, as its kind of app server takes a release."""

    @property
    def name(self) -> str:
        """The name of its table: ``web``."""
        ...

    def files(self) -> Mapping[str, bytes]:
        """What is shipped to start it: path in the release and text."""
        ...

    def values(self, switch: Switch | None = None) -> Mapping[str, object]:
        """What its scripts need; ``facts`` names the template that asks how it is."""
        ...

    def conditions(self, facts: Facts) -> Iterable[str]:
        """Why a deploy cannot be safe with the set-up that *facts* show, one line each; also doctor's rules."""
        ...

    def rehearse(self, switch: Switch, facts: Facts) -> tuple[Step, ...]:
        """Boot the release where no client can reach it."""
        ...

    def before(self, switch: Switch) -> tuple[Step, ...]:
        """What happens before ``current`` is renamed, each step with how it is taken back."""
        ...

    def after(self, switch: Switch, facts: Facts) -> tuple[Step, ...]:
        """What happens after it, to processes as *facts* show them."""
        ...

    def finish(self, switch: Switch) -> tuple[Step, ...]:
        """What happens once nothing can be taken back any more: the old is told to stop."""
        ...

    def words(self, switch: Switch) -> tuple[Step, ...]:
        """What tells people its last words, when its proof has failed and before it is taken back."""
        ...

    def proof(self, release: Release, facts: Facts) -> Verdict:
        """Does every process of it run *release*?"""
        ...

    def same(self, release: Release, then: Answer, now: Answer) -> bool:
        """Are the processes that run *release* still those of *then*?"""
        ...

    def owns(self, running: Running, facts: Facts) -> bool:
        """Is this one of its processes?"""
        ...

    def accepts(self, running: Running, facts: Facts) -> bool:
        """Does this process of its own get new work?"""
        ...


def rehearsal(switch: Switch, name: str, values: Mapping[str, object], command: str, says: str, limit_s: float) -> Step:
    """Boot *command* in the release with ``$SOCKET`` to listen on; ask it there, if it has a health."""
    return Step(
        "rehearse",
        {"root": switch.root, "release": switch.release, "process": values, "command": command},
        says,
        phase=Phase.REHEARSE,
        process=name,
        timeout_s=limit_s,
    )
