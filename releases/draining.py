"""Which hosts leave the rotation of their balancer while they switch: a plan → the same plan with those steps."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from .balancers.kind import Balancer
from .errors import UsageError
from .plan import Batch, Phase, Plan, Step
from .surveyed import Surveyed


def balanced(plan: Plan, hosts: tuple[Surveyed, ...]) -> Plan:
    """The plan with each host drained behind its arm and undrained once it is proven.

    Nobody is drained whose batch leaves nobody else to serve, nor where nothing is live yet: such a host only joins.
    """
    with_one = tuple((host, host.balancer) for host in hosts if host.balancer and not host.kept_out)
    _apart(with_one)
    turns = {**dict.fromkeys(plan.hosts_of(Phase.SWITCH), 0), **_turns(plan.batches)}
    switched = tuple((host, balancer) for host, balancer in with_one if host.name in turns)
    drained = frozenset(host.name for host, balancer in switched if _may_leave(host, balancer, turns, hosts))
    steps = dict(plan.steps)
    for host, balancer in switched:
        out = balancer.drain(plan.number) if host.name in drained else ()
        if host.name in drained or host.left_out or not host.facts.live:
            steps[host.name] = _around(steps[host.name], out, _back(balancer, plan.number, guarded=bool(out)))
    return replace(plan, steps=steps, notes=(*plan.notes, *_notes(hosts, drained)))


def _back(balancer: Balancer, number: int, *, guarded: bool) -> tuple[Step, ...]:
    return tuple(step for step in balancer.undrain(number) if guarded or step.name != "unguard")


def _around(steps: tuple[Step, ...], out: tuple[Step, ...], back: tuple[Step, ...]) -> tuple[Step, ...]:
    """Out behind the arm, so that a death is settled; back before the last proof, so that it is made under traffic."""
    found = list[Step]()
    for step in steps:
        found += [*back, step] if step.name == "settled" else [step, *out] if step.name == "arm" else [step]
    return tuple(found)


def _may_leave(host: Surveyed, balancer: Balancer, turns: Mapping[str, int], hosts: tuple[Surveyed, ...]) -> bool:
    """Does somebody else serve meanwhile: who does not switch, or in another turn?"""
    pool = [h for h in hosts if h.balancer and h.balancer.pool == balancer.pool]
    if len(pool) == 1:
        return bool(host.facts.live) and balancer.counts  # those that are not of this deploy only it knows
    mine, others = turns[host.name], [h for h in pool if turns.get(h.name) != turns[host.name] and not h.kept_out]
    serving = [h for h in others if h.facts.live or turns.get(h.name, mine) < mine]
    return bool(host.facts.live and serving)


def _turns(batches: tuple[Batch, ...]) -> Mapping[str, int]:
    return {name: turn for turn, batch in enumerate(batches) for name in batch.hosts}


def _notes(hosts: tuple[Surveyed, ...], drained: frozenset[str]) -> Iterable[str]:
    for host in hosts:
        if host.kept_out:
            yield f"{host.name}: {host.kept_out}"
        if host.left_out:
            yield f"{host.name}: it is out of rotation, and is brought back"
        if host.facts.drained:
            what = "it is brought back first" if host.comes_back else host.way_back
            yield f"{host.name}: deploy {host.facts.drained} left it out of rotation; {what}"
    able = [host for host in hosts if host.balancer and host.facts.live and not host.kept_out]
    if able and not drained:
        yield "balancer: nobody is drained, since nobody else would be left to serve (strategy.kind spreads a deploy)"


def _apart(with_one: tuple[tuple[Surveyed, Balancer], ...]) -> None:
    """Two hosts that are one server of a balancer would be drained and undrained for each other."""
    seen: dict[tuple[str, str], str] = {}
    for host, balancer in with_one:
        server = getattr(balancer, "server", "")
        other = seen.setdefault((balancer.pool, server), host.name) if server else host.name
        if other != host.name:
            raise UsageError(
                f"balancer.server: {server} would be both {other} and {host.name}",
                hint="tell them apart with `server` in [hosts.NAME.balancer]",
            )
