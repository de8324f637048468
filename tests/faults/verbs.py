"""The commands that are interrupted: the steps of each come from its plan, as pure code makes it."""

import tomllib
from dataclasses import dataclass, replace

from releases import deploy, joining, prune, rollback
from releases.config import Config
from releases.grouping import Grouping
from releases.plan import Phase, Plan
from tests.faults.site import BESIDE, MORE, PLAIN
from tests.hosts import ANA, A, B, C, D, config, host, live, manifest

OLD = "v3"  # is live before; v1 and v2 were
FEWER = MORE.replace("releases = 3", "releases = 1")
HERE, LOCKED = ("--host", "prod"), ("settle", "survey")
THREE = ("--host", ",".join(("prod", *BESIDE)))
AGAIN = " again"  # of several hosts none is confirmed before all were looked at once more


@dataclass(frozen=True, slots=True)
class Verb:
    """A command: *words* are typed, *opening* are the steps before its *plan*; *new* goes live, if anything does.

    *number* is that of the deploy that it is. It finds the tree *before*, with *more* in its deploy.toml. Of the hosts
    of its plan it is *victim* that meets the faults, *beside* which there are others; it *follows* where another leads.
    Where it meets them *only* at some steps, the other steps are those of another verb.
    """

    name: str
    words: tuple[str, ...]
    opening: tuple[str, ...]
    plan: Plan | None
    new: str = ""
    number: int = 4
    before: str = "proven"
    more: str = MORE
    title: str = ""
    victim: str = "web1"
    beside: tuple[str, ...] = ()
    follows: bool = False
    only: tuple[str, ...] = ()

    @property
    def planned(self) -> tuple[str, ...]:
        """The steps of its plan, on the host that meets the faults, but those that `finish` carries in its script."""
        if not self.plan:
            return ()
        within = self.plan.finishes(self.victim)
        steps = [step for step in self.plan.steps[self.victim] if step not in within]
        switched = [step.label for step in steps if step.phase <= Phase.SWITCH]
        looked = [f"{switched[-1]}{AGAIN}"] if self.beside else []
        return (*switched, *looked, *(step.label for step in steps if step.phase > Phase.SWITCH))

    @property
    def steps(self) -> tuple[str, ...]:
        """All its steps."""
        return (*self.opening, *self.planned)

    @property
    def met(self) -> tuple[str, ...]:
        """The steps at which faults are met."""
        return self.only or self.steps

    def phase(self, step: str) -> Phase | None:
        """What a failure of *step* means; None before the plan."""
        steps = self.plan.steps[self.victim] if self.plan else ()
        return next((s.phase for s in steps if s.label == step.removesuffix(AGAIN)), None)

    def overtakes(self, step: str) -> bool:
        """May the switch have begun when *step*, which comes before it, comes to grief? It was sent with it then."""
        if not self.plan or (phase := self.phase(step)) is None or phase >= Phase.SWITCH:
            return False
        grouping = Grouping(self.plan)
        return any(
            later.phase is Phase.SWITCH
            for at, line in enumerate(grouping.lines(self.victim, phase))
            if step.removesuffix(AGAIN) in [each.label for each in line]
            for later in grouping.later(self.victim, phase, at)
        )

    def confirmed(self, step: str, *, inside: bool) -> bool | None:
        """Is the switch confirmed when *step* is interrupted, *inside* of it or ahead? None: it is just about to be."""
        if not self.new or (phase := self.phase(step)) is None or phase < Phase.CONFIRM:
            return False
        if phase is Phase.CONFIRM:
            return None if inside else False
        return True


def _settings(more: str) -> Config:
    return config(**tomllib.loads(more))


_LINES, _SETTINGS = (live(1, A), live(2, B, A), live(3, C, B)), _settings(MORE)
_DIED = (
    f'{{"event":"deploy","deploy":4,"verb":"deploy","release":"{D}"}}',
    f'{{"event":"reverted","deploy":4,"verb":"deploy","release":"{D}"}}',
)
_FOUND = host(C, complete=[A, B, C], journal=_LINES, settings=_SETTINGS)
_STRAIGHT = host(C, complete=[A, B, C], journal=_LINES, settings=_settings(PLAIN))
_CROWDED = host(C, complete=[A, B, C], journal=_LINES, settings=_settings(FEWER))
_TAKEN_BACK = host(C, complete=[A, B, C, D], journal=(*_LINES, *_DIED), settings=_SETTINGS)
_AHEAD = host(D, complete=[B, C, D], journal=(*_LINES, live(4, D, C)), settings=_SETTINGS, name="web2")
_THREE = tuple(replace(_FOUND, name=f"web{number}") for number in (1, 2, 3))
_SHIPPED = deploy.Shipment(D, manifest("version"), bases={f"web{n}": manifest("last") for n in (1, 2, 3)})
_ON_THREE = deploy.deploy(_THREE, _SHIPPED, ANA)

VERBS = (
    Verb("deploy", ("deploy", *HERE), (*LOCKED, "manifest"), deploy.deploy((_FOUND,), _SHIPPED, ANA), new="v4"),
    Verb("rollback", ("rollback", *HERE), LOCKED, rollback.rollback((_FOUND,), ANA), new="v2"),
    Verb(
        "join",
        ("join", "prod", "--host", "prod,ahead"),
        (*LOCKED, "manifest"),
        joining.join("web1", (_FOUND, _AHEAD), ANA, copy=_SHIPPED),
        new="v4",
        number=5,
    ),
    Verb(
        "deploy_straight",
        ("deploy", *HERE),
        (*LOCKED, "manifest"),
        deploy.deploy((_STRAIGHT,), _SHIPPED, ANA),
        new="v4",
        more=PLAIN,
        title="deploy, whose switch is sent with what comes before it",
        only=("send", "check", "link", "seal", "publish", "confirm", "finish", "prune"),
    ),
    Verb(
        "rollback_straight",
        ("rollback", *HERE),
        LOCKED,
        rollback.rollback((_STRAIGHT,), ANA),
        new="v2",
        more=PLAIN,
        title="rollback, whose switch is sent with what comes before it",
        only=("begin", "verify", "publish", "confirm", "finish"),
    ),
    Verb("prune", ("prune", *HERE), LOCKED, prune.prune((_CROWDED,)), more=FEWER),
    Verb("setup", ("setup", *HERE), ("survey", "setup"), None),
    # What a session does that finds an arm, whose process has died, too, as in a reboot.
    Verb("settle", ("prune", *HERE), LOCKED, prune.prune((_TAKEN_BACK,)), before="armed"),
    Verb(
        "deploy_on_three",
        ("deploy", *THREE),
        (*LOCKED, "manifest"),
        _ON_THREE,
        new="v4",
        title="deploy, three hosts",
        beside=BESIDE,
    ),
    Verb(
        "deploy_behind_another",
        ("deploy", *THREE),
        (*LOCKED, "manifest"),
        _ON_THREE,
        new="v4",
        title="deploy, three hosts, of which another leads",
        victim="web3",
        beside=BESIDE,
        follows=True,
        only=("share",),
    ),
    Verb(
        "rollback_on_three",
        ("rollback", *THREE),
        LOCKED,
        rollback.rollback(_THREE, ANA),
        new="v2",
        title="rollback, three hosts",
        beside=BESIDE,
        follows=True,
    ),
)
