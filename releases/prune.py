"""prune: which releases nothing needs any more."""

from dataclasses import replace

from . import steps
from .history import prefix
from .layout import Release
from .plan import Phase, Plan, Step
from .surveyed import Surveyed


def expired(host: Surveyed, live: Release | None) -> tuple[Release, ...]:
    """What may go once *live* is live, oldest first: all but what is live, pinned, kept, in use, a rollback target, or
    what a canary that waits is about.

    Only proven releases count in ``keep``; one that failed goes at once. What has no name of ours is never judged, nor
    what the journal does not know: who lost a journal must not lose the releases, too.
    """
    facts, keep = host.facts, host.config.keep.releases
    proven = [r for r in facts.history.proven if r in facts.complete and r != live and r not in facts.history.bad]
    held = {Release.parse(str(facts.history.canary.get(key, ""))) for key in ("release", "previous")}
    spared = {live, facts.live, *held, *facts.pins, *facts.in_use, *proven[-max(keep - 1, 1) :]}
    order = {r: i for i, r in enumerate(facts.history.proven)}
    known = {event.get("release") for event in facts.history.events}
    gone = (r for r in facts.complete if r not in spared and r.name in known)
    return tuple(sorted(gone, key=lambda r: order.get(r, -1)))


def pruning(host: Surveyed, live: Release | None, number: int) -> tuple[Step, ...]:
    """The step that removes what has expired; none when nothing has."""
    gone = expired(host, live)
    event = {"event": "pruned", "deploy": number}
    return (steps.prune(host.layout, gone, prefix(event)),) if gone else ()


def prune(hosts: tuple[Surveyed, ...]) -> Plan:
    """Plan to remove what has expired on *hosts*; a plan without steps when nothing has."""
    for host in hosts:
        if problem := host.root_problem() or host.app_problem() or host.link_problem():
            raise problem
    plan = {
        host.name: tuple(
            replace(step, phase=Phase.STAGE)  # there is no switch that it could come after
            for step in pruning(host, host.facts.live, host.facts.history.number)
        )
        for host in hosts
    }
    notes = () if any(plan.values()) else ("nothing has expired",)
    return Plan("prune", 0, hosts[0].facts.live, hosts[0].facts.live, plan, notes)
