"""A deploy as data: `Step` is one remote script, `Plan` says which run on which host and in what order."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from .answer import Answer
from .errors import UsageError
from .layout import Release

Values = Mapping[str, object]

# What a plan may lack because of what is there already: a release that was made before has no need to be made, …
MAKING = frozenset({"stage", "send", "check", "link", "prepare", "seal", "pending", "expand"})
BY_CHANCE = frozenset({"probe", "share", "tell", "verify", "prune"})  # … nothing was live, or nothing has expired
HERE = "here"  # what carries a step that runs on the controller
LEAVING = ("guard", "drain", "drained")  # how a host leaves the rotation of its balancer, …
RETURNING = ("undrain", "serving", "unguard")  # … and comes back
SWITCHING = frozenset(
    {"begin", "rehearse", "before_switch", "arm", "start", "publish", "reload", "after_switch", "prove", "settled"}
    | {"confirm", "retire", "finish"}
)


class Phase(IntEnum):
    """What a failure means: before SWITCH nothing was switched, in it all is taken back, after it nothing is."""

    STAGE = 1
    EXPAND = 2
    REHEARSE = 3
    SWITCH = 4
    CONFIRM = 5
    AFTER = 6


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer shows: *why* is empty when all is as it must be; *final*: asking again cannot change it.

    *note* is said to people; the steps named in *skips* have nothing left to do; *about* is the process it blames.
    *quotes*: somebody's program is quoted in *why*, which therefore is told, but not journaled. The steps named in
    *again* are carried once more before it counts.
    """

    why: str = ""
    final: bool = False
    note: str = ""
    skips: frozenset[str] = frozenset()
    about: str = ""
    quotes: bool = False
    again: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return not self.why


Judge = Callable[[Answer], Verdict]
COPIED = ", in copies that no other release shares"


@dataclass(frozen=True, slots=True)
class Step:
    """One remote script, one round trip: *template* (the name, if empty) filled with *values*.

    *says* is its line in a plan. *undo* takes it back; doing either twice changes nothing. *judge* reads the
    answer, and the step, which may take *timeout_s*, is asked again until it is content or *patience_s* is over.
    *streams*: the payload of the release is sent while it runs. *words*: what is run when the judge is not content,
    to hear the last words of the process that it blames. *via*: whose session carries it, if not that of the host: a
    balancer's, or `HERE`. *lenient*: when its patience is over, that is said, and the plan goes on. *finds*: the exit
    code that is an answer, too; what was sent ahead behind the step does not run then.
    """

    name: str
    values: Values
    says: str
    phase: Phase = Phase.SWITCH
    template: str = ""
    undo: "Step | None" = None
    judge: Judge | None = field(default=None, compare=False)
    timeout_s: float = 60.0
    patience_s: float = 0.0
    process: str = ""
    streams: bool = False
    words: "tuple[Step, ...]" = ()
    via: str = ""
    lenient: bool = False
    finds: int = 0

    @property
    def label(self) -> str:
        """The name, and the process it is about: ``start web``."""
        return f"{self.name} {self.process}".rstrip()


@dataclass(frozen=True, slots=True)
class Batch:
    """Hosts that switch at once; then they are watched for *watch_s*, and *check* must succeed on the controller.

    Those that *wait* do not switch: they write down that a canary is held.
    """

    hosts: tuple[str, ...]
    watch_s: float = 0.0
    check: str = ""
    wait: bool = False

    def __str__(self) -> str:
        if self.wait:
            return f"{', '.join(self.hosts)} (ready, and not switched)"
        watched = f" (watched for {self.watch_s:g} s)" if self.watch_s else ""
        checked = f" (then `{self.check}` here)" if self.check else ""
        return f"{', '.join(self.hosts)}{watched}{checked}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Which steps run on which host to make *release* live in place of *previous*.

    A plan is carried phase by phase with a barrier between them: no host switches before every host has staged.
    *local* are the commands of the controller, before and after the switch; each has *local_s*. Hosts switch in
    *batches* (none: all at once), and are confirmed when all have; where one fails, all go back, unless the plan
    *keeps* those that were proven. A canary is held on *holds*: the plan ends with hosts that differ.
    """

    verb: str
    number: int
    release: Release | None
    previous: Release | None
    steps: Mapping[str, tuple[Step, ...]]
    notes: tuple[str, ...] = ()
    local: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    local_s: float = 600.0
    batches: tuple[Batch, ...] = ()
    keeps: bool = False
    holds: tuple[str, ...] = ()
    left_out: frozenset[str] = frozenset()

    def before(self, name: str, step: Step) -> "Plan":
        """The plan with *step* ahead of each step called *name*; `UsageError` for a name that no plan has.

        Where this plan lacks it, since the release is live or made already, *step* is left out, too.
        """
        return self._edited(name, lambda found: (replace(step, phase=found.phase), found), step.name)

    def after(self, name: str, step: Step) -> "Plan":
        """The plan with *step* behind each step called *name*, as `before`."""
        return self._edited(name, lambda found: (found, replace(step, phase=found.phase)), step.name)

    def without(self, name: str) -> "Plan":
        """The plan without the steps called *name*; `UsageError` for a name that no plan has."""
        return self._edited(name, lambda found: ())

    def takes_back(self, host: str) -> tuple[Step, ...]:
        """What undoes the switch on *host*: the link first, since what reloads reads it, then last touched first.

        What was done elsewhere is not among it: the host cannot undo that.
        """
        undone = [s for s in reversed(self.steps[host]) if s.phase is Phase.SWITCH and s.undo and not s.via]
        undone.sort(key=lambda step: step.name != "publish")
        return tuple(step.undo for step in undone if step.undo)

    def finishes(self, host: str) -> tuple[Step, ...]:
        """What follows a confirmed switch on *host*, and is done by whoever comes next if the deployer dies."""
        return tuple(s for s in self.steps[host] if s.phase is Phase.AFTER and s.process)

    def leaving(self, host: str) -> tuple[Step, ...]:
        """What takes *host* out of the rotation of its balancer."""
        return tuple(step for step in self.steps[host] if step.name in LEAVING)

    def returning(self, host: str) -> tuple[Step, ...]:
        """What brings it back."""
        return tuple(step for step in self.steps[host] if step.name in RETURNING)

    def hosts_of(self, phase: Phase) -> tuple[str, ...]:
        """The hosts with a step in *phase*, in order."""
        return tuple(host for host, steps in self.steps.items() if any(s.phase is phase for s in steps))

    def _edited(self, name: str, edit: Callable[[Step], Iterable[Step]], own: str = "") -> "Plan":
        if name not in (known := dict.fromkeys(s.name for steps in self.steps.values() for s in steps)):
            every = MAKING | BY_CHANCE | SWITCHING | {*LEAVING, *RETURNING}
            if name in self.left_out or (name in every and (not own or self._may_lack(name))):
                return replace(self, left_out=self.left_out | {own})
            raise UsageError(f"the plan has no step {name!r}", hint=f"its steps: {', '.join(known)}")
        edited = {
            host: tuple(new for s in steps for new in (edit(s) if s.name == name else (s,)))
            for host, steps in self.steps.items()
        }
        return replace(self, steps={host: _in_copies(steps) for host, steps in edited.items()})

    def _may_lack(self, name: str) -> bool:
        if self.verb == "already_live" or name in (*BY_CHANCE, *LEAVING, *RETURNING):
            return True
        return name in MAKING and not any(s.name == "stage" for steps in self.steps.values() for s in steps)

    def __str__(self) -> str:
        if not any(self.steps.values()):
            return f"{self.verb}: nothing to do"
        head = f"{self.verb} {self.release} (now live: {self.previous or 'nothing'})"
        if self.release == self.previous:
            head = f"{self.verb.replace('_', ' ')} (live: {self.release or 'nothing'})"
        order = [f"in this order: {' | '.join(map(str, self.batches))}"] if len(self.batches) > 1 else []
        local = [f"here, {when}: run `{run}`" for when, runs in self.local.items() for run in runs]
        return "\n".join(
            [head, *self.notes, *order, *local, *(line for host in self.steps for line in self._lines(host))]
        )

    def _lines(self, host: str) -> list[str]:
        width = max((len(step.label) for step in self.steps[host]), default=0)
        return [f"{host}", *(f"  {step.label:<{width}}  {step.says}" for step in self.steps[host])]


def copied(check: Step) -> Step:
    """The step that compares a release with its manifest, which then is made of files of its own."""
    if check.values["copies"]:
        return check
    return replace(check, values={**check.values, "copies": True}, says=check.says + COPIED)


def _in_copies(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Where a command runs in the release, none of its files may be another release's, too."""
    if not any(step.template == "commands" for step in steps):
        return steps
    return tuple(copied(step) if step.name == "check" else step for step in steps)
