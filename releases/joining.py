"""join: one host, left out earlier or new, is brought to exactly what is live on the others."""

from collections.abc import Iterable

from .canary import check_none_waits
from .deploy import Shipment, arrival_notes, arriving, check_there, expanding, made_live, proof_only
from .draining import balanced
from .errors import Refused, UsageError
from .layout import Release
from .plan import Plan
from .surveyed import Surveyed
from .switching import Author, fleetwide, number
from .targets import Target


def named(word: str, targets: Iterable[Target]) -> str:
    """The name of the host that *word* means: its address, its name, or its table where that has one host only.

    Raises `UsageError` for none, for several, and for one that is alone.
    """
    targets = tuple(targets)
    found = [target.name for target in targets if target.is_called(word) or target.group == word]
    names = ", ".join(target.name for target in targets)
    if len(found) != 1:
        why = "is more than one host" if found else "is none of the hosts"
        raise UsageError(f"join {word}: {word} {why}", hint=f"they are {names}; --host names other tables")
    if len(targets) == 1:
        raise UsageError(f"join {word}: there is no other host to join", hint="--host names the others, too")
    return found[0]


def agreed(name: str, hosts: tuple[Surveyed, ...]) -> Release:
    """What is live on all but the host called *name*; `Refused` when they differ, nothing is, or a canary waits."""
    check_none_waits(hosts)
    others = [host for host in hosts if host.name != name]
    for host in others:
        if problem := host.root_problem() or host.link_problem():
            raise problem
    first = others[0]
    for host in others:
        if host.facts.live != first.facts.live:
            one, other = (f"{h.facts.live or 'nothing'} is live on {h.name}" for h in (first, host))
            hint = "`inv deploy` makes hosts one again; `--without HOST` leaves one out of this"
            raise Refused(f"{one} and {other}: there is no one release to join", hint=hint)
        if host.facts.armed:
            why = f"{host.name}: deploy {host.facts.armed[0]} was not confirmed"
            raise Refused(f"{why}: what is live is not settled", hint="`inv status` tells; the next deploy settles it")
    if not first.facts.live:
        raise Refused(f"{first.name}: nothing is live to join", hint="`inv deploy` makes a first release")
    return first.facts.live


def join(name: str, hosts: tuple[Surveyed, ...], author: Author, *, copy: Shipment | None = None) -> Plan:
    """Plan to make on the host called *name* live what is live on the other *hosts*; it gets the *copy* if it lacks it.

    Migrations run only where every host has its own database: on one that is shared they have run.
    """
    release, joins = agreed(name, hosts), next(host for host in hosts if host.name == name)
    check_there((joins,), release, copy)
    facts = joins.facts
    if facts.live == release and release in facts.history.proven and release in facts.complete and not facts.armed:
        return proof_only((joins,))
    n = number(hosts)
    switch = arriving(joins, n, release, copy)
    leads = not any(host.shares_with(joins) for host in hosts if host is not joins)
    steps = made_live(joins, switch, "join", author, copy, *expanding(joins, switch, leads=leads))
    said = (f"{release} is what is live on the others", *arrival_notes((joins,), release, copy))
    return balanced(Plan("join", n, release, facts.live, {name: steps}, said, **fleetwide((joins,))), hosts)
