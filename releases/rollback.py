"""rollback: back to the newest proven release before this one, by the same switch, with the same proof."""

from .canary import check_none_waits
from .errors import Refused
from .history import rollback_target
from .layout import Release
from .plan import Plan
from .surveyed import Surveyed
from .switching import Author, fleetwide, known, notes, number, switched_to


def rollback(hosts: tuple[Surveyed, ...], author: Author, *, to: str | None = None) -> Plan:
    """Plan to go back to *to* (None: the newest proven release before the live one that is not bad).

    The release that is left is marked bad. Raises `Refused` when there is none, or the schema is past it.
    """
    for host in hosts:
        host.check()
    check_none_waits(hosts)
    target = Release.named(to) if to is not None else common(hosts)
    n = number(hosts)
    plan = {}
    for host in hosts:
        check_target(host, target)
        plan[host.name] = switched_to(host, known(host, n, target), "rollback", author)
    return Plan("rollback", n, target, hosts[0].facts.live, plan, notes(hosts, target), **fleetwide(hosts))


def common(hosts: tuple[Surveyed, ...]) -> Release:
    """The newest target that every host has, has proven and has not left."""
    leader = hosts[0].facts
    target = rollback_target(leader.history, leader.live, (r for r in leader.complete if _is_everywhere(r, hosts)))
    if not target and not hosts[0].facts.live:
        raise Refused(f"{hosts[0].name}: nothing is live to go back from", hint="`inv deploy` makes a first release")
    if not target:
        raise Refused(
            f"{hosts[0].name}: there is no proven release before {hosts[0].facts.live}",
            hint="`inv releases` lists what is there; `inv rollback --to ID` goes to one by name",
        )
    return target


def _is_everywhere(release: Release, hosts: tuple[Surveyed, ...]) -> bool:
    known = ((host.facts.complete, host.facts.history) for host in hosts)
    return all(release in complete and release in h.proven and release not in h.bad for complete, h in known)


def check_target(host: Surveyed, target: Release) -> None:
    """Raise `Refused` where *host* cannot go back to *target*."""
    facts = host.facts
    if target == facts.live:
        raise Refused(f"{host.name}: {target} is live already")
    if target not in facts.complete:
        raise Refused(f"{host.name}: there is no complete release {target}", hint="`inv releases` lists them")
    if target not in facts.history.proven:
        raise Refused(
            f"{host.name}: {target} was never live and proven",
            hint=f"`inv deploy --release {target}` proves it first",
        )
    host.check_schema(target)
