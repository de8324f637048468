"""Sockets that wait for nothing; one may begin while the libraries that speak SSH over it are still being loaded."""

import re
import socket
from pathlib import Path

from .addresses import Destination

# What may lead elsewhere than where an address says.
_LEADS = re.compile(r"^\s*(?:hostname|port|proxy\w*|canonical\w*|match|include)\b", re.IGNORECASE | re.MULTILINE)
SSH = 22


class Begun:
    """A socket to the host *to*, or the `OSError` that there was instead."""

    def __init__(self, to: Destination) -> None:
        self._leads = to.hostname, to.port or SSH
        self._socket: socket.socket | None = None
        self._error: OSError | None = None
        try:
            self._socket = socket.create_connection(self._leads, timeout=to.connect_s)
        except OSError as error:
            self._error = error

    def taken(self, host: str, port: int) -> socket.socket | None:
        """The socket, once, if it leads there; raises why there is none."""
        if (host, port) != self._leads:
            self.close()
        elif self._error:
            raise self._error
        opened, self._socket = self._socket, None
        return opened

    def close(self) -> None:
        """Close it, unless it was taken."""
        if self._socket:
            self._socket.close()
            self._socket = None


def begun(to: Destination) -> Begun | None:
    """Begin a connection, unless ~/.ssh/config may lead it elsewhere: who reads all of that is not loaded yet."""
    try:
        leads = _LEADS.search((Path.home() / ".ssh" / "config").read_text("utf-8", "replace"))
    except FileNotFoundError:
        leads = None
    except (OSError, RuntimeError):  # whoever reads all of it says what is wrong
        return None
    return None if leads else Begun(to)


class _Prompt(socket.socket):
    """Acknowledges at once what comes: sshd sends no second small piece before, and kernels like to wait for 40 ms."""

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """As any socket does; the kernel forgets that it is to be prompt, and is told each time."""
        data = super().recv(size, flags)
        if data and hasattr(socket, "TCP_QUICKACK"):
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data


def dialed(host: str, port: int, to: Destination, begun: Begun | None = None) -> socket.socket:
    """A socket that sends at once, and is given up when nothing comes for ``silent_s``; raises `OSError`.

    It is the one that has *begun*, where that leads there.
    """
    early = begun and begun.taken(host, port)
    plain = early or socket.create_connection((host, port), timeout=to.connect_s)
    opened = _Prompt(plain.family, plain.type, plain.proto, plain.detach())
    opened.settimeout(to.connect_s)
    pulse_s = max(1, round(to.silent_s / 4))
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", pulse_s),
        ("TCP_KEEPINTVL", pulse_s),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", round(to.silent_s * 1000)),
    ):
        if hasattr(socket, option):  # macOS lacks some of them
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return opened
