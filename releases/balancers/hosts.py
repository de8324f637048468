"""The hosts of balancers that are none of the deploy: each has a session and a lock of its own."""

from collections.abc import Mapping
from dataclasses import replace

from ..balancing import Placed
from ..errors import Refused, UsageError
from ..targets import Target
from .kind import at, session


def balancers(targets: Mapping[str, Target]) -> Mapping[str, Target]:
    """One target for each, by the name of its session.

    Raises `UsageError` where an app is deployed to where the balancer would have its lock.
    """
    found = dict[str, Target]()
    for target in targets.values():
        settings, root = target.config.balancer, target.config.root
        if isinstance(settings, Placed) and settings.host:
            config, name = target.config.model_copy(update={"root": at(settings, root)}), session(settings, root)
            found.setdefault(name, replace(Target.at(settings.host, group="", config=config), label=name))
    for name, place in found.items():
        if other := next((target for target in targets.values() if target.place == place.place), None):
            raise UsageError(
                f"{name} is where {other.name} has its app",
                hint="give the balancer a directory of its own on that host: balancer.root in deploy.toml",
            )
    return found


def called(targets: Mapping[str, Target]) -> tuple[str, ...]:
    """The names of those sessions, whatever is wrong with them."""
    settings = ((target.config.balancer, target.config.root) for target in targets.values())
    return tuple(dict.fromkeys(session(s, root) for s, root in settings if isinstance(s, Placed) and s.host))


def homeless(place: Target, error: Refused) -> Refused:
    """The same with what helps on the host of a balancer, of which `inv setup` knows nothing."""
    if not str(error).endswith("does not exist"):
        return error
    owner = f" -o {place.user}" if place.user else ""
    return Refused(str(error), hint=f"on that host, once: sudo install -d{owner} {place.config.root}")
