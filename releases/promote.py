"""deploy --promote and --abort-canary: what becomes of a canary that is held."""

from dataclasses import replace

from . import proofs, steps
from .canary import Canary, waiting
from .draining import balanced
from .errors import Refused
from .history import prefix
from .layout import Release
from .plan import Batch, Phase, Plan, Step
from .processes.kind import Switch
from .rollback import target
from .strategies import grouped
from .surveyed import Surveyed
from .switching import Author, began, fleetwide, known, notes, number, switched_to

Hosts = tuple[Surveyed, ...]
ALL = "name all hosts of that deploy, or leave --host out"


def promote(hosts: Hosts, author: Author) -> Plan:
    """Plan to put the canary that waits on the rest, once its own hosts were proven again.

    Migrations ran before it, so none run now. Raises `Refused` where none waits.
    """
    canary = _waiting(hosts)
    release = canary.release
    _, rest = _parted(hosts, release)
    if not rest:
        raise Refused(f"{release} is live on all of {_names(hosts)}", hint=ALL)
    if lacking := [host.name for host in rest if release not in host.facts.complete]:
        hint = f"`--without {','.join(lacking)}` leaves it behind, `inv deploy --abort-canary` takes the canary back"
        raise Refused(f"{', '.join(lacking)}: there is no complete release {release}", hint=hint)
    for host in rest:
        host.check_schema(release)
    n, plan = number(hosts), {}
    for host in hosts:
        switch = known(host, n, release)
        tells = _told(host, n, canary, "promoted")
        if host in rest:
            plan[host.name] = (*switched_to(host, switch, "promote", author), tells)
        else:
            plan[host.name] = (*began(host, switch, "promote", author), *_proof(host, release), tells)
    return _plan("promote", hosts, rest, release, plan)


def abort(hosts: Hosts, author: Author) -> Plan:
    """Plan to take the canary that waits back; its release is marked bad on every host. Raises as `promote`."""
    canary = _waiting(hosts)
    on, _ = _parted(hosts, canary.release)
    back = _before(on, canary.release)
    n, plan = number(hosts), {}
    for host in hosts:
        tells = _told(host, n, canary, "aborted")
        if host in on:
            _check_goes_back(host, back)
            plan[host.name] = (*switched_to(host, known(host, n, back), "abort", author), tells)
        else:
            plan[host.name] = (
                *began(host, Switch(host.config.root, n, back, host.facts.live), "abort", author),
                tells,
            )
    return _plan("abort", hosts, on, back, plan)


def _waiting(hosts: Hosts) -> Canary:
    for host in hosts:
        host.check()
    if canary := waiting(hosts):
        return canary
    raise Refused("no canary waits", hint='`inv deploy` makes one with strategy.kind = "canary" and hold = true')


def _parted(hosts: Hosts, release: Release) -> tuple[Hosts, Hosts]:
    """The hosts that run the canary's release, and the others."""
    on = tuple(host for host in hosts if host.facts.live == release)
    if not on:
        raise Refused(f"{release} is live on none of {_names(hosts)}: its canary waits elsewhere", hint=ALL)
    return on, tuple(host for host in hosts if host not in on)


def _before(on: Hosts, release: Release) -> Release:
    """What the canary's hosts go back to: what was live before it, else the newest that all of them have proven."""
    named = {Release.parse(str(host.facts.history.live_since(release).get("previous", ""))) for host in on}
    same = named.pop() if len(named) == 1 else None
    return same or target(on, None)


def _check_goes_back(host: Surveyed, release: Release) -> None:
    if release not in host.facts.complete:
        raise Refused(f"{host.name}: there is no complete release {release}", hint="`inv releases` lists them")
    host.check_schema(release)


def _proof(host: Surveyed, release: Release) -> tuple[Step, ...]:
    looks = (look(host.config, release, host.kinds, None, wait_s=10) for look in (proofs.prove, proofs.settled))
    return tuple(replace(step, phase=Phase.REHEARSE) for step in looks)


def _told(host: Surveyed, n: int, canary: Canary, how: str) -> Step:
    """Write into the journal of a host how it ended."""
    event = {"event": how, "deploy": n, "canary": canary.number, "release": canary.release.name}
    return replace(steps.end(host.layout, prefix(event)), says=f"write down that the canary was {how}")


def _plan(verb: str, hosts: Hosts, switched: Hosts, release: Release, plan: dict[str, tuple[Step, ...]]) -> Plan:
    live, said = switched[0].facts.live, notes(switched, release)
    whole = Plan(verb, number(hosts), release, live, plan, said, **fleetwide(hosts[:1]))  # of one: nobody is a canary
    parts = grouped(hosts[0].config.strategy, switched)
    batches = tuple(Batch(tuple(host.name for host in part)) for part in parts)
    # Never kept in part: the canary waits on until all have it, and every host would be told that it does not.
    return balanced(replace(whole, batches=batches, keeps=False), hosts)


def _names(hosts: Hosts) -> str:
    return ", ".join(host.name for host in hosts)
