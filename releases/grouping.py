"""Which steps go to a host in one line: it does one after another, and stops by itself at the first that fails."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from .plan import Phase, Plan, Step

# What takes no time and needs no decision of ours in between: the host does as many as come together.
SWIFT = frozenset({"begin", "stage", "check", "link", "seal", "verify", "arm", "publish", "prove", "settled", "end"})


def together(todo: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    """Cut the steps of a phase where we have to hear what one answered before the next may be sent."""
    group: tuple[Step, ...] = ()
    for step in todo:
        if group and not _follows(group[-1], step):
            yield group
            group = ()
        group = (*group, step)
    if group:
        yield group


def _follows(step: Step, after: Step) -> bool:
    if not {step.name, after.name} <= SWIFT or step.via or after.via or step.process or after.process:
        return False
    if after.name == "settled":  # looks only, and where it does not wait, it costs nothing either
        return after.values["settle_s"] == "0" and not step.patience_s
    return bool(not step.judge or step.finds)


@dataclass(frozen=True, slots=True)
class Grouping:
    """The lines of a *plan*; where it has one host only, some go beyond a phase, or even end what there is to do.

    What is sent behind a stream is the line that follows it.
    """

    plan: Plan

    def lines(self, name: str, phase: Phase) -> tuple[tuple[Step, ...], ...]:
        """The steps of one phase, cut where we have to hear what one answered."""
        return tuple(together(tuple(step for step in self.plan.steps[name] if step.phase is phase)))

    def later(self, name: str, phase: Phase, at: int) -> tuple[Step, ...]:
        """What goes with line *at* of *phase* that is not of it, and is carried as soon as that went well."""
        lines = self.lines(name, phase)
        if at + 1 == len(lines):
            return self._beyond(name, phase)
        return (*lines[at + 1], *self.later(name, phase, at + 1)) if lines[at][-1].streams else ()

    def _beyond(self, name: str, phase: Phase) -> tuple[Step, ...]:
        if len(self.plan.steps) > 1 or self.plan.holds or phase is Phase.SWITCH:
            return ()
        return self._confirmed(name) if phase is Phase.CONFIRM else self._onward(name, phase)

    def ends_with(self, name: str, sent: tuple[Step, ...]) -> bool:
        """Is nothing asked of *name* behind *sent*, and nothing of that asked again, if all goes well?"""
        if len(self.plan.steps) > 1 or self.plan.holds or self.plan.local.get("after_switch"):
            return False
        left = [s for s in self.plan.steps[name] if sent[0].phase < s.phase < Phase.AFTER] + [*self._after(name)]
        for step in sent:
            if step in left:
                left.remove(step)
        return not left and not any(step.patience_s for step in sent)

    def _onward(self, name: str, phase: Phase) -> tuple[Step, ...]:
        """The first line of the switch, where nothing is between that we decide."""
        between = any(phase < step.phase < Phase.SWITCH for step in self.plan.steps[name])
        lines, switch = self.lines(name, phase), self.lines(name, Phase.SWITCH)
        if between or self.plan.local.get("before_switch") or not lines or not switch:
            return ()
        return switch[0] if len(tuple(together((*lines[-1], *switch[0])))) == 1 else ()

    def _confirmed(self, name: str) -> tuple[Step, ...]:
        """What follows as soon as *name* is confirmed."""
        after = sorted(self._after(name), key=lambda step: step.name != "finish")  # as they are carried
        return tuple(takewhile(lambda step: step.name in ("finish", "prune"), after))

    def _after(self, name: str) -> tuple[Step, ...]:
        return tuple(s for s in self.plan.steps[name] if s.phase is Phase.AFTER and not s.process)
