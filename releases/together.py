"""What is wrong with hosts only when they are looked at together."""

from collections.abc import Iterable, Mapping

from .errors import Refused, ReleaseError, Unreachable
from .surveyed import Surveyed
from .targets import Target


def check_apart(hosts: Iterable[Surveyed]) -> None:
    """Raise `Refused` when two of *hosts* are one root of one machine under two names; two roots of one are fine."""
    seen: dict[str, str] = {}
    for host in hosts:
        if (identity := host.facts.identity) and (other := seen.setdefault(identity, host.name)) != host.name:
            raise twice(other, host.name)


def twice(one: str, other: str) -> Refused:
    """That two names are of one root on one machine."""
    return Refused(f"{one} and {other} are one root on one machine", hint="name it once, in deploy.toml or with --host")


def unreachable(errors: Mapping[str, ReleaseError], hosts: Mapping[str, Target]) -> ReleaseError:
    """Those who cannot be reached in one error; with how to go on without them where that can be said."""
    if len(errors) == 1:
        return next(iter(errors.values()))
    named = all(name in hosts and not hosts[name].label for name in errors)
    leaves = f"; `--without {','.join(errors)}` leaves them out of a deploy" if named else ""
    return Unreachable("; ".join(map(str, errors.values())), hint=f"are they up?{leaves}")


def foreign(hosts: Iterable[Surveyed], compiled: Mapping[str, str]) -> tuple[str, ...]:
    """A note for each of *hosts* for whose machine nothing was *compiled*, though for others it was: machine → a path.

    A build with programs for several machines, its own among them, is taken for one that chooses.
    """
    paths = "; ".join(f"{path} for {machine}" for machine, path in compiled.items())
    return tuple(
        f"{host.name} is {host.facts.machine}, but the build has programs for other machines: {paths}"
        for host in hosts
        if compiled and host.facts.machine and host.facts.machine not in compiled
    )


def behind(hosts: tuple[Surveyed, ...]) -> Mapping[str, str]:
    """For each host that has not what was switched to last: how it came so, and what brings it there."""
    switched = [(host.facts.history.live_since(live), host) for host in hosts if (live := host.facts.live)]
    last = max((event.get("deploy", 0) for event, _ in switched), default=0)
    newest = next((host for event, host in switched if last and event.get("deploy") == last), None)
    if not newest or not newest.facts.live:
        return {}
    left_out = newest.facts.history.begun(last).get("without", ())
    what = f"deploy {last} made {newest.facts.live} live on {newest.name}"
    return {
        host.name: f"{'left out: ' if host.name in left_out else 'behind: '}{what}"
        for host in hosts
        if host.facts.live != newest.facts.live
    }
