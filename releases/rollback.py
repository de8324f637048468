"""rollback: back to the newest proven release before this one, by the same switch, with the same proof."""

from dataclasses import replace

from .canary import check_none_waits
from .deploy import Shipment, arrival_notes, arriving, check_there, made_live
from .draining import balanced
from .errors import Refused
from .layout import Release
from .plan import Plan
from .surveyed import Surveyed
from .switching import Author, fleetwide, number


def rollback(
    hosts: tuple[Surveyed, ...], author: Author, *, to: str | None = None, copy: Shipment | None = None
) -> Plan:
    """Plan to go back to the `target`; who lacks it gets the *copy*, and where it is live nothing is done.

    The release that is left is marked bad. Raises `Refused` when there is none, or the schema is past it.
    """
    for host in hosts:
        host.check()
    check_none_waits(hosts)
    wanted = target(hosts, to)
    moved = tuple(host for host in hosts if host.facts.live != wanted)
    if not moved:
        raise Refused(f"{hosts[0].name}: {wanted} is live already")
    if to is None:
        _check_alike(moved)
    check_there(moved, wanted, copy)
    if not any(wanted in host.facts.history.proven for host in hosts):
        raise Refused(
            f"{hosts[0].name}: {wanted} was never live and proven",
            hint=f"`inv deploy --release {wanted}` proves it first",
        )
    n, plan = number(hosts), {}
    for host in moved:
        plan[host.name] = made_live(host, arriving(host, n, wanted, copy), "rollback", author, copy)
    there = tuple(f"{host.name}: {wanted} is live there already" for host in hosts if host not in moved)
    said, whole = (*arrival_notes(moved, wanted, copy), *there), fleetwide(hosts)
    whole["batches"] = tuple(
        replace(batch, hosts=left)
        for batch in whole["batches"]
        if (left := tuple(name for name in batch.hosts if name in plan))
    )
    return balanced(Plan("rollback", n, wanted, moved[0].facts.live, plan, said, **whole), hosts)


def target(hosts: tuple[Surveyed, ...], to: str | None) -> Release:
    """The release called *to*; by default the newest before what is live that some host has, whole and proven.

    What a rollback left on any host is none.
    """
    if to is not None:
        return Release.named(to)
    switched = {
        release: max(_number(host, release) for host in hosts)
        for release in dict.fromkeys(release for host in hosts for release in host.facts.history.proven)
    }
    lives = [host.facts.live for host in hosts if host.facts.live]
    if not lives:
        for host in hosts:
            host.check()
        raise Refused(f"{hosts[0].name}: nothing is live to go back from", hint="`inv deploy` makes a first release")
    left = max(lives, key=lambda release: switched.get(release, 0))
    bad = {release for host in hosts for release in host.facts.history.bad}
    there = {release for host in hosts for release in host.facts.complete} - bad - {left}
    if not (found := [release for release in switched if release in there]):
        raise Refused(
            f"{hosts[0].name}: there is no proven release before {left}",
            hint="`inv releases` lists what is there; `inv rollback --to ID` goes to one by name",
        )
    return max(found, key=switched.__getitem__)


def _number(host: Surveyed, release: Release) -> int:
    number = host.facts.history.live_since(release).get("deploy", 0)
    return number if isinstance(number, int) else 0


def _check_alike(hosts: tuple[Surveyed, ...]) -> None:
    """What is left is bad for the whole fleet: a host that is only behind has not what others leave."""
    for host in hosts:
        if host.facts.live != hosts[0].facts.live:
            one, other = (f"{h.facts.live or 'nothing'} is live on {h.name}" for h in (hosts[0], host))
            raise Refused(
                f"{one} and {other}: there is no one release to go back from",
                hint="`inv join HOST` brings it to what is live, `--without HOST` leaves it out, `--to ID` takes all",
            )
