"""The hosts of balancers, for commands that only look: one that cannot be asked says why, and nothing fails."""

from collections.abc import Mapping

from .answer import Answer
from .balancers.hosts import balancers, called
from .errors import ReleaseError, UsageError
from .fleet import Fleet
from .surveyed import Surveyed
from .traffic import Told, Traffic, seen


def places(fleet: Fleet) -> Mapping[str, Told]:
    """The hosts of balancers that are none of the fleet: who holds the lock of each, what is armed, or why not.

    They have a session then, without their locks.
    """
    try:
        return fleet.look(balancers(fleet.targets))
    except UsageError as error:
        return dict.fromkeys(called(fleet.targets), error)


def traffic(fleet: Fleet, hosts: tuple[Surveyed, ...]) -> Mapping[str, Traffic]:
    """Ask the balancer of each host that has one."""
    able = {host.name: host for host in hosts if host.balancer and not host.root_problem()}
    if not able:
        return {}
    elsewhere = places(fleet)

    def ask(name: str) -> Answer:
        balancer = able[name].balancer
        if balancer and isinstance(error := elsewhere.get(balancer.via), ReleaseError):
            raise error
        step = balancer.ask() if balancer else None
        return fleet.run(name, step) if step else Answer()

    told = fleet.each(able, ask)
    return {name: seen(host, told[name], elsewhere) for name, host in able.items()}
