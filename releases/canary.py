"""A canary that is held: a release live on some hosts and ready on the rest, until somebody decides."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .errors import Refused
from .history import prefix
from .layout import Release
from .plan import Batch, Phase, Plan, Step
from .strategies import canaries
from .surveyed import Surveyed

WAYS = "`inv deploy --promote` puts it on the rest, `inv deploy --abort-canary` takes it back"


@dataclass(frozen=True, slots=True)
class Canary:
    """The *release* of deploy *number* waits on *hosts*, as they were called then."""

    number: int
    release: Release
    hosts: tuple[str, ...]
    since: str = ""

    def __str__(self) -> str:
        return f"the canary of {self.release} waits on {', '.join(self.hosts)} since {self.since}"

    def on(self, host: Surveyed) -> str:
        """What `status` says of one host."""
        if host.facts.live == self.release:
            return f"canary of {self.release} since {self.since}: {WAYS}"
        waits = f"its canary waits on {', '.join(self.hosts)}: {WAYS}"
        ready = self.release in host.facts.complete
        return f"{self.release} is ready, {waits}" if ready else f"has no {self.release}; {waits}"


def waiting(hosts: tuple[Surveyed, ...]) -> Canary | None:
    """The canary that waits, for all that *hosts* know together; None when none does.

    What one was told of its end is true for all. One whose deploy died was never confirmed, and its hosts say so;
    one that left all its hosts, or came to all others, is over even if nobody lived to write that down.
    """
    histories = [host.facts.history for host in hosts]
    event = max((h.canary for h in histories), key=lambda e: int(e.get("deploy", 0)), default={})
    release, n = Release.parse(str(event.get("release", ""))), int(event.get("deploy", 0))
    if not release or any(history.decided(n) for history in histories):
        return None
    switched = [host.facts.live == release for host in hosts if host.facts.history.ended("live", n)]
    died = not switched and any(history.ended(how, n) for history in histories for how in ("reverted", "failed"))
    promoted = any(history.live_since(release).get("verb") == "promote" for history in histories)
    everywhere = promoted and all(host.facts.live == release for host in hosts)
    if died or everywhere or (switched and not any(switched)):
        return None
    return Canary(n, release, tuple(map(str, event.get("hosts", ()))), str(event.get("at", "")))


def check_none_waits(hosts: tuple[Surveyed, ...]) -> None:
    """Raise `Refused` while a canary waits: nobody could tell afterwards what it was compared with."""
    if found := waiting(hosts):
        raise Refused(str(found), hint=WAYS)


def held(hosts: tuple[Surveyed, ...], plan: Plan) -> Plan:
    """The same plan up to the point where its canary is proven, confirmed and held, where the strategy says so.

    The rest has staged, migrated and rehearsed by then, and writes that down.
    """
    strategy = hosts[0].config.strategy
    if not strategy.hold or not plan.batches:
        return plan
    first = canaries(strategy, hosts)
    if new := [host.name for host in hosts if host.name in first and not host.facts.live]:
        why = f"nothing is live on {', '.join(new)} that a canary could go back to: none is held"
        return replace(plan, notes=(*plan.notes, why))
    rest = tuple(host.name for host in hosts if host.name not in first)
    if not rest:
        return replace(plan, notes=(*plan.notes, "with all others left out there is no rest: no canary is held"))
    switched = (batch.hosts for batch in plan.batches if set(batch.hosts) <= set(first))
    watched = tuple(Batch(names, strategy.watch_s, strategy.check) for names in switched)
    return replace(
        plan,
        steps={host.name: _held(host, plan, first) for host in hosts},
        batches=(*watched, Batch(rest, wait=True)),
        holds=first,
        keeps=False,  # a canary that not every host knows of would be no canary
    )


def _held(host: Surveyed, plan: Plan, first: tuple[str, ...]) -> tuple[Step, ...]:
    """The steps of one host: a canary's with a line for the journal once it is proven, the others' without a switch."""
    steps, writes = plan.steps[host.name], (_write(host, plan, first),)
    if host.name not in first:
        ready = tuple(step for step in steps if step.phase < Phase.SWITCH)
        return (*ready, *writes, *(step for step in steps if step.name == "prune"))
    at = max(i for i, step in enumerate(steps) if step.phase is Phase.SWITCH) + 1
    return (*steps[:at], *writes, *steps[at:])


def _write(host: Surveyed, plan: Plan, first: tuple[str, ...]) -> Step:
    event = {
        "event": "canary",
        "deploy": plan.number,
        "release": str(plan.release),
        "previous": str(host.facts.live or ""),
        "hosts": first,
    }
    says = f"write down that the canary waits on {', '.join(first)}"
    return Step("canary", {"root": host.layout.root, "ended": prefix(event)}, says, Phase.SWITCH, template="end")


def standing(plan: Plan, live: Mapping[str, Release | None]) -> Mapping[str, str]:
    """What is true of each host after *plan* went well; *live* is what was, where nothing was confirmed."""
    confirmed = plan.hosts_of(Phase.CONFIRM)
    words = {name: f"live: {plan.release if name in confirmed else live[name] or 'nothing'}" for name in plan.steps}
    if not plan.holds:
        return words
    return {n: f"{word}, {'canary' if n in plan.holds else f'{plan.release} is ready'}" for n, word in words.items()}
