"""Connections that are opened while other work is done: deploy.toml is checked, a build is hashed."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .errors import Unreachable
from .sockets import begun

if TYPE_CHECKING:
    from fabric import Connection

    from .addresses import Destination

AT_ONCE = 32
FRESH_S = 20.0
AT_ONE_ADDRESS = 8  # sshd refuses some of eleven that begin at once, unless it is told otherwise


class Dialing:
    """Connections that are begun before anybody asks; each is handed out once, and what nobody takes is closed.

    One that has waited for longer than `FRESH_S` is not handed out: nobody has watched its line.
    """

    def __init__(self) -> None:
        self._limit = threading.BoundedSemaphore(AT_ONCE)
        self._doors: dict[tuple[str, int | None], threading.BoundedSemaphore] = {}
        self._calls: dict[Destination, _Call] = {}

    def call(self, places: "Iterable[Destination]") -> None:
        """Begin one with each of *places* and nobody else: who was called before and is not among them is let go."""
        places = frozenset(places)
        for place in self._calls.keys() - places:
            self._calls.pop(place).close()
        for place in (new := places - self._calls.keys()):
            self._calls[place] = _Call(self, place)
        if new:
            from . import connection  # noqa: F401  first, so that what is imported meanwhile does not hold it up

    def take(self, place: "Destination") -> "Connection":
        """Wait for the connection with *place*, or open one; raises as `connect` does."""
        call = self._calls.pop(place, None)
        return (call and call.taken()) or self.open(place)

    def close(self) -> None:
        """Close what nobody took, as soon as it is there."""
        for call in self._calls.values():
            call.close()

    def open(self, place: "Destination", *, unless: Callable[[], bool] = lambda: False) -> "Connection":
        """Open one, in its turn; raises as `connect` does, and `Unreachable` when by then it is not wanted any more."""
        door = self._doors.setdefault((place.hostname, place.port), threading.BoundedSemaphore(AT_ONE_ADDRESS))
        with door, self._limit:
            if unless():
                raise Unreachable(f"{place.name}: nobody waits for it any more")
            socket = begun(place)
            from .connection import connect  # not before it is needed: it is half of what there is to import

            try:
                return connect(place, begun=socket)
            finally:
                if socket:
                    socket.close()


class _Call:
    """One connection that is being opened."""

    def __init__(self, dialing: Dialing, place: "Destination") -> None:
        self._dialing, self._place = dialing, place
        self._connection: Connection | None = None
        self._error: BaseException | None = None
        self._done, self._turn, self._closed, self._since = threading.Event(), threading.Lock(), False, 0.0
        threading.Thread(target=self._open, name=f"connect {place.name}", daemon=True).start()

    def _open(self) -> None:
        try:
            connection = self._dialing.open(self._place, unless=lambda: self._closed)
        except BaseException as error:
            self._error = error
        else:
            with self._turn:
                self._connection = connection
            if self._closed:
                self.close()
        finally:
            self._since = time.monotonic()
            self._done.set()

    def taken(self) -> "Connection | None":
        """Wait for it; None when it is too old, or why there was none is: the build may have taken minutes."""
        while not self._done.wait(0.5):  # so that Ctrl-C is heard
            pass
        if time.monotonic() - self._since > FRESH_S:
            self.close()
        elif self._error:
            raise self._error
        with self._turn:
            connection, self._connection = self._connection, None
        return connection

    def close(self) -> None:
        """As soon as it is there, unless somebody has taken it."""
        self._closed = True
        with self._turn:
            connection, self._connection = self._connection, None
        if connection:
            connection.close()
