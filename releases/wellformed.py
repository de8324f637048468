"""What paths, addresses and URLs are like where a pattern can't say it."""

import ipaddress
import re
from urllib.parse import urlsplit

SOCKET_PATH_BYTES = 107  # sun_path of Linux, less its final NUL


def is_clean(path: str) -> bool:
    """Whether *path* says where it leads: no empty, ``.`` or ``..`` part and no slash at the end."""
    return not {"", ".", ".."}.intersection(path.removeprefix("/").split("/"))


def is_shareable(path: str) -> bool:
    """Whether *path* is clean and leaves alone what every release has of its own."""
    return is_clean(path) and path.split("/")[0] not in {"RELEASE", ".release"}


def is_port(text: str) -> bool:
    """Whether *text* is a TCP port in decimal digits."""
    return bool(re.fullmatch(r"[1-9][0-9]{0,4}", text)) and int(text) < 65_536


def is_ipv6(text: str) -> bool:
    """Whether *text* is an IPv6 address without brackets and zone."""
    try:
        return "%" not in text and bool(ipaddress.IPv6Address(text))
    except ValueError:
        return False


def is_ipv4(text: str) -> bool:
    """Whether *text* is a dotted IPv4 address."""
    try:
        return bool(ipaddress.IPv4Address(text))
    except ValueError:
        return False


def is_listen(text: str) -> bool:
    """Whether systemd takes *text* as a socket: an IP address with a port, or a path that fits."""
    if text.startswith("/"):
        return is_clean(text) and len(text) <= SOCKET_PATH_BYTES
    address, _, port = text.rpartition(":")
    bracketed = address.startswith("[") and is_ipv6(address[1:-1])
    return is_port(port) and (bracketed or is_ipv4(address))


def is_url(text: str) -> bool:
    """Whether *text* is a path, or a URL whose host and port can exist."""
    if text.startswith("/"):
        return True
    try:
        parts = urlsplit(text)
        return parts.port != 0 and ("[" not in parts.netloc or is_ipv6(parts.hostname or ""))
    except ValueError:
        return False


def is_address(text: str) -> bool:
    """Whether *text* is ``[user@]host[:port]``."""
    host = text.rpartition("@")[2]
    ipv6 = re.fullmatch(r"\[(.+)\](?::([0-9]+))?", host)
    port = ipv6[2] if ipv6 else host.partition(":")[2] or None
    return (not ipv6 or is_ipv6(ipv6[1])) and (port is None or is_port(port))
