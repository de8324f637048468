"""Asks a URL all the time, as several kinds of clients do, and keeps what they met."""

import http.client
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import SplitResult, urlsplit

from .figures import Answered, Figures, figures


@dataclass(frozen=True, slots=True)
class Client:
    """One client: it asks *path*, waits *pause_s* when it has the answer, and asks again.

    A client that keeps its connection looks whether the other side has closed it before it uses it again, as
    browsers and proxies do; a connection that is closed under a request is a failure. One that *retries* does what
    RFC 9112, 9.3.1 allows, and browsers do: where a connection that it has used before is closed with no byte of an
    answer, it sends a GET once more over a new one, and that is counted.
    """

    path: str = ""
    method: str = "GET"
    body: bytes | None = None
    keeps: bool = False
    retries: bool = False
    slow: bool = False
    pause_s: float = 0.01
    limit_s: float = 10.0


MIXED = (
    *(Client(),) * 3,
    *(Client(keeps=True),) * 3,
    Client(keeps=True, method="POST", body=b"words=hello"),
    Client(method="POST", body=b"words=hello"),
)


class Unanswered(ConnectionError):
    """The connection was closed, and no byte of an answer had come."""


class Answer(http.client.HTTPResponse):
    """Tells an answer that has not begun from one that is cut."""

    def begin(self) -> None:
        """Read status and headers; raises `Unanswered` when not one byte comes."""
        try:
            begun = self.fp.peek(1)
        except ConnectionError as error:
            raise Unanswered(_wrong(error)) from error
        if not begun:
            raise Unanswered("closed without an answer")
        super().begin()


class Asker:
    """One client at its URL; not for more than one thread."""

    def __init__(self, url: str, client: Client) -> None:
        self.url, self.client = _split(url), client
        self._line: http.client.HTTPConnection | None = None

    def ask(self) -> Answered:
        """Send one request and read its whole answer."""
        at = time.monotonic()
        release, wrong, again = self._tried()
        if again:
            self.close()
            release, wrong, _ = self._tried()
        if wrong or not self.client.keeps:
            self.close()
        return Answered(at, time.monotonic() - at, release, wrong, self.client.slow, retried=again)

    def close(self) -> None:
        """Hang up."""
        if self._line:
            self._line.close()
            self._line = None

    def _tried(self) -> tuple[str, str, bool]:
        """The release or what was wrong, and whether it is to be sent again."""
        kept, client = False, self.client
        try:
            kept = self._connect()
            return *self._asked(), False
        except (OSError, http.client.HTTPException) as error:
            again = kept and client.retries and client.method == "GET" and isinstance(error, Unanswered)
            return "", _wrong(error), again

    def _asked(self) -> tuple[str, str]:
        client, line = self.client, self._line
        assert line
        path = client.path or (self.url.path or "/") + (f"?{self.url.query}" if self.url.query else "")
        headers = {"Connection": "keep-alive" if client.keeps else "close"}
        if client.body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            line.request(client.method, path, client.body, headers)
        except ConnectionError as error:
            raise Unanswered(_wrong(error)) from error
        answer = line.getresponse()
        body = answer.read()  # all of it: only then is a short one an error
        if answer.status >= 500:
            return "", f"{client.method} {path} answered {answer.status}"
        return _release(answer, body), ""

    def _connect(self) -> bool:
        """See to a connection; True when it is one that was used before."""
        if self._line and (self._line.sock is None or _dropped(self._line.sock)):
            self.close()
        if self._line:
            return True
        kind = http.client.HTTPSConnection if self.url.scheme == "https" else http.client.HTTPConnection
        self._line = kind(self.url.hostname or "", self.url.port, timeout=self.client.limit_s)
        self._line.response_class = Answer
        self._line.connect()
        self._line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return False


@dataclass(slots=True)
class Load:
    """Several clients at one URL, each in a thread of its own, from `start` to `stop`."""

    url: str
    clients: tuple[Client, ...] = MIXED
    _answers: list[Answered] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Let them ask."""
        for client in self.clients:
            thread = threading.Thread(target=self._ask, args=(client,), name="probe", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Let each have its last answer, and end."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def between(self, began: float, ended: float) -> Figures:
        """What they met in this span of the monotonic clock."""
        return figures(tuple(self._answers), began, ended)

    def failed_at(self, began: float) -> tuple[float, ...]:
        """So many seconds after *began* (of the monotonic clock) requests failed."""
        return tuple(answer.ended - began for answer in self._answers if answer.wrong and answer.ended >= began)

    def _ask(self, client: Client) -> None:
        asker = Asker(self.url, client)
        while not self._stopping.is_set():
            self._answers.append(asker.ask())
            self._stopping.wait(client.pause_s)
        asker.close()


def watch(url: str, *, limit_s: float, every_s: float) -> Iterator[tuple[str, Answered]]:
    """Ask *url* for ever; yields UP, DOWN or UP AND CHANGED with each answer.

    `ValueError` when it is no URL, or of a host that nobody knows.
    """
    asker = Asker(url, Client(limit_s=limit_s))
    host = asker.url.hostname
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        raise ValueError(f"{host}: no such host ({error.strerror or error})") from None
    return _watch(asker, every_s)


def _watch(asker: Asker, every_s: float) -> Iterator[tuple[str, Answered]]:
    seen = ""
    while True:
        answered = asker.ask()
        changed = bool(answered.release and seen and answered.release != seen)
        seen = answered.release or seen
        yield "DOWN" if answered.wrong else "UP AND CHANGED" if changed else "UP", answered
        time.sleep(max(0.0, every_s - answered.took_s))


def _split(url: str) -> SplitResult:
    found = urlsplit(url if "://" in url else f"http://{url}")
    if found.scheme not in ("http", "https") or not found.hostname:
        raise ValueError(f"{url!r} is no http:// or https:// address")
    return found


def _release(answer: http.client.HTTPResponse, body: bytes) -> str:
    """Which release says so: its header, its JSON, or else the digest of the page."""
    if said := answer.getheader("X-Release"):
        return said
    try:
        said = json.loads(body)["release"]
    except (ValueError, TypeError, KeyError):
        return sha256(body).hexdigest()[:8]
    return str(said)


def _dropped(line: socket.socket) -> bool:
    """Nothing was asked, so what can be read is the end."""
    return bool(select.select([line], [], [], 0)[0])


def _wrong(error: Exception) -> str:
    match error:
        case ConnectionRefusedError():
            return "refused"
        case Unanswered():
            return str(error)
        case ConnectionError():
            return "reset"
        case TimeoutError():
            return "no answer in time"
        case http.client.IncompleteRead():
            return "cut short"
    return f"{type(error).__name__}: {error}"
