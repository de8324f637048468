"""What an address says, how one is written, and where a connection leads."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .wellformed import is_ipv6, is_port

CONNECT_S = 10.0
SILENT_S = 20.0
ADDRESS = re.compile(
    r"(?:(?P<user>[A-Za-z_][A-Za-z0-9._-]{0,31})@)?"
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<hostname>[A-Za-z0-9_][A-Za-z0-9._-]{0,252}))"
    r"(?::(?P<port>[0-9]+))?"
)


def split(address: str) -> tuple[str, str, int | None]:
    """Split *address* into user, host name and port; "" and None leave it to ``~/.ssh/config``.

    >>> split("deploy@[2001:db8::1]:2222")
    ('deploy', '2001:db8::1', 2222)

    Raises `ValueError` for text that is no address, or that a shell or ssh could misread.
    """
    match = ADDRESS.fullmatch(address)
    if not match or (match["ipv6"] and not is_ipv6(match["ipv6"])):
        raise ValueError(f"not an address: {address!r}")
    if match["port"] and not is_port(match["port"]):
        raise ValueError(f"not a port: {match['port']!r}")
    return (
        match["user"] or "",
        match["ipv6"] or match["hostname"],
        int(match["port"]) if match["port"] else None,
    )


def named(hostname: str, port: int | None) -> str:
    """Name a host for people: with the port when one is given."""
    if port is None:
        return hostname
    return f"[{hostname}]:{port}" if ":" in hostname else f"{hostname}:{port}"


def by_hand(hostname: str, *, user: str = "", port: int | None = None) -> str:
    """Write how a person logs in with ssh, which takes no port after the name.

    >>> by_hand("web1", user="ana", port=2222), by_hand("web1")
    ('ssh -p 2222 ana@web1', 'ssh web1')
    """
    return " ".join(("ssh", *(("-p", str(port)) if port else ()), f"{user}@{hostname}" if user else hostname))


def repeated(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return the hosts that occur more than once; another user or other capitals make no other host of it."""
    names = [named(*split(address)[1:]).lower() for address in addresses]
    return tuple(dict.fromkeys(name for name in names if names.count(name) > 1))


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a connection leads, what people call that, and how long a host or a line that is silent is waited for."""

    name: str
    user: str  # "" leaves it to ~/.ssh/config
    hostname: str
    port: int | None  # None leaves it to ~/.ssh/config
    connect_s: float = CONNECT_S
    silent_s: float = SILENT_S

    @property
    def ssh(self) -> str:
        """The command with which a person logs in."""
        return by_hand(self.hostname, user=self.user, port=self.port)
