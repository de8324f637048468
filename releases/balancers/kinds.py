"""Where the kinds of load balancers are listed."""

from .. import balancing
from ..addresses import split
from ..config import Config
from .command import Command
from .file import HealthFile
from .haproxy import HAProxy
from .kind import Balancer
from .nginx import Nginx


def balancer(name: str, address: str, config: Config) -> Balancer | None:
    """The balancer of the host *name* at *address*; None where there is none."""
    settings, hostname, root = config.balancer, split(address)[1], config.root
    match settings:
        case balancing.HAProxy():
            return HAProxy(name, balancing.called(settings.server, hostname), root, settings)
        case balancing.Nginx():
            return Nginx(name, balancing.called(settings.server, hostname), root, settings)
        case balancing.HealthFile():
            return HealthFile(name, root, settings)
        case balancing.BalancerCommand():
            return Command(name, hostname, balancing.called(settings.server, hostname), root, settings)
        case None:
            return None
