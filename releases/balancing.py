"""The load balancers that deploy.toml can name, and how a host is called there."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from .spelling import (
    OptionalAddress,
    OptionalRoot,
    PlainPath,
    Seconds,
    Section,
    ServerName,
    ServerPattern,
    SharedPath,
    Shell,
    SocketPath,
)


class Placed(Section):
    """What is told to a balancer on `host`, or without one on the host of the deploy itself."""

    host: OptionalAddress = ""
    root: OptionalRoot = None
    server: ServerPattern = "{host}"
    drain_s: Seconds = 30.0
    wait_s: Seconds = 30.0


class HAProxy(Placed):
    """HAProxy, over its runtime socket."""

    kind: Literal["haproxy"] = "haproxy"
    socket: SocketPath
    backend: ServerName


class Nginx(Placed):
    """nginx, by a file that it includes: one `server` line for each host, marked `down`."""

    kind: Literal["nginx"] = "nginx"
    include: PlainPath
    test: Shell = "nginx -t"
    reload: Shell = "nginx -s reload"


class HealthFile(Section):
    """A file below shared/ at whose sight the host says 503 to whoever balances."""

    kind: Literal["file"] = "file"
    path: SharedPath
    drain_s: Seconds = 30.0
    wait_s: Seconds = 10.0


class BalancerCommand(Section):
    """Two commands on the controller, for what only an API knows."""

    kind: Literal["command"] = "command"
    drain: Shell
    undrain: Shell
    server: ServerPattern = "{host}"
    timeout_s: Seconds = 300.0


AnyBalancer: TypeAlias = HAProxy | Nginx | HealthFile | BalancerCommand
BALANCERS: Mapping[str, type[AnyBalancer]] = {
    "haproxy": HAProxy,
    "nginx": Nginx,
    "file": HealthFile,
    "command": BalancerCommand,
}
Balancer = Annotated[AnyBalancer, Field(discriminator="kind")]


def called(pattern: str, hostname: str) -> str:
    """Fill in how a balancer calls a host.

    >>> called("{host}:8000", "web1.example.com"), called("{short}", "web1.example.com")
    ('web1.example.com:8000', 'web1')
    """
    return pattern.replace("{host}", hostname).replace("{short}", hostname.partition(".")[0])
