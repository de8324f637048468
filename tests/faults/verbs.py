"""The commands that are interrupted: the steps of each come from its plan, as pure code makes it."""

import tomllib
from dataclasses import dataclass

from releases import deploy, joining, prune, rollback
from releases.config import Config
from releases.plan import Phase, Plan
from tests.faults.site import MORE
from tests.hosts import ANA, A, B, C, D, config, host, live, manifest

OLD = "v3"  # is live before; v1 and v2 were
FEWER = MORE.replace("releases = 3", "releases = 1")
LOCKED, READING = ("settle", "survey"), ("survey",)


@dataclass(frozen=True, slots=True)
class Verb:
    """A command: *words* are typed, *opening* are the steps before its *plan*; *new* goes live, if anything does.

    *number* is that of the deploy that it is. It finds the tree *before*, with *more* in its deploy.toml.
    """

    name: str
    words: tuple[str, ...]
    opening: tuple[str, ...]
    plan: Plan | None
    new: str = ""
    number: int = 4
    before: str = "proven"
    more: str = MORE

    @property
    def planned(self) -> tuple[str, ...]:
        """The steps of its plan, on the one host that changes."""
        return tuple(step.label for steps in self.plan.steps.values() for step in steps) if self.plan else ()

    @property
    def steps(self) -> tuple[str, ...]:
        """All its steps."""
        return (*self.opening, *self.planned)

    def phase(self, step: str) -> Phase | None:
        """What a failure of *step* means; None before the plan."""
        steps = (s for steps in (self.plan.steps if self.plan else {}).values() for s in steps)
        return next((s.phase for s in steps if s.label == step), None)

    def confirmed(self, step: str, *, inside: bool) -> bool | None:
        """Is the switch confirmed when *step* is interrupted, *inside* of it or ahead? None: it is just about to be."""
        if not self.new or (phase := self.phase(step)) is None or phase < Phase.CONFIRM:
            return False
        if phase is Phase.CONFIRM:
            return None if inside else False
        return True


def _settings(more: str) -> Config:
    return config(**tomllib.loads(more))


def _plans() -> tuple[Plan, ...]:
    """Deploy, rollback, prune, join: that they are those of the hosts, a test compares."""
    lines, settings = [live(1, A), live(2, B, A), live(3, C, B)], _settings(MORE)
    found = host(C, complete=[A, B, C], journal=lines, settings=settings)
    few = host(C, complete=[A, B, C], journal=lines, settings=_settings(FEWER))
    ahead = host(D, complete=[B, C, D], journal=[*lines, live(4, D, C)], settings=settings, name="web2")
    shipped = deploy.Shipment(D, manifest("version"), bases={"web1": manifest("last")})
    return (
        deploy.deploy((found,), shipped, ANA),
        rollback.rollback((found,), ANA),
        prune.prune((few,)),
        joining.join("web1", (found, ahead), ANA, copy=shipped),
    )


_DEPLOY, _ROLLBACK, _PRUNE, _JOIN = _plans()
VERBS = (
    Verb("deploy", ("deploy", "--host", "prod"), (*LOCKED, "manifest"), _DEPLOY, new="v4"),
    Verb("rollback", ("rollback", "--host", "prod"), LOCKED, _ROLLBACK, new="v2"),
)
