"""Asks a URL all the time, as several kinds of clients do, and says in figures what they met.

>>> figures([Answered(1.0, 0.02, "a"), Answered(1.5, 0.03, "b"), Answered(1.6, 0.1, wrong="refused")], 0.9, 2.0)
Figures(count=3, wrong=1, examples=('refused',), gap_s=0.51, p50_ms=20.0, p99_ms=30.0, releases=('a', 'b'))
"""

import http.client
import json
import math
import select
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from urllib.parse import SplitResult, urlsplit

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Answered:
    """One request, sent at *at* (monotonic seconds): the release that answered it, or what was wrong.

    *slow* was asked to be so: it counts, but says nothing of how fast or how steadily the others are answered.
    """

    at: float
    took_s: float
    release: str = ""
    wrong: str = ""
    slow: bool = False

    @property
    def ended(self) -> float:
        """When its answer was whole."""
        return self.at + self.took_s


@dataclass(frozen=True, slots=True)
class Figures:
    """What clients met in a span of time. *gap_s* is the longest time in which nobody got a good answer.

    *wrong* were refused, reset, cut short, timed out or answered 5xx; *releases* in the order in which they were seen.
    """

    count: int
    wrong: int
    examples: tuple[str, ...]
    gap_s: float
    p50_ms: float
    p99_ms: float
    releases: tuple[str, ...]

    def __str__(self) -> str:
        failed = f"{self.wrong} failed" + (f" ({'; '.join(self.examples)})" if self.examples else "")
        took = "" if math.isnan(self.p50_ms) else f", p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms"
        return f"{self.count} requests, {failed}, longest gap {self.gap_s:.2f} s{took}"


def figures(answers: Iterable[Answered], began: float, ended: float) -> Figures:
    """Sum up what ended between *began* and *ended*."""
    found = sorted((a for a in answers if began <= a.ended < ended), key=lambda a: a.ended)
    wrong = [a.wrong for a in found if a.wrong]
    good = [a for a in found if not a.wrong and not a.slow]
    moments = [began, *(a.ended for a in good), ended]
    gap = max(after - before for before, after in pairwise(moments))
    took = sorted(a.took_s * 1000 for a in good)
    return Figures(
        count=len(found),
        wrong=len(wrong),
        examples=tuple(dict.fromkeys(wrong))[:EXAMPLES],
        gap_s=round(gap, 3),
        p50_ms=round(_percentile(took, 0.50), 1),
        p99_ms=round(_percentile(took, 0.99), 1),
        releases=tuple(dict.fromkeys(a.release for a in found if a.release)),
    )


def _percentile(ordered: list[float], part: float) -> float:
    return ordered[max(0, math.ceil(len(ordered) * part) - 1)] if ordered else math.nan


@dataclass(frozen=True, slots=True)
class Client:
    """One client: it asks *path*, waits *pause_s* when it has the answer, and asks again.

    A client that keeps its connection looks whether the other side has closed it before it uses it again, as
    browsers and proxies do; a connection that is closed under a request is a failure.
    """

    path: str = ""
    method: str = "GET"
    body: bytes | None = None
    keeps: bool = False
    slow: bool = False
    pause_s: float = 0.01
    limit_s: float = 10.0


MIXED = (
    *(Client(),) * 3,
    *(Client(keeps=True),) * 3,
    Client(keeps=True, method="POST", body=b"words=hello"),
    Client(method="POST", body=b"words=hello"),
)


class Asker:
    """One client at its URL; not for more than one thread."""

    def __init__(self, url: str, client: Client) -> None:
        self.url, self.client = _split(url), client
        self._line: http.client.HTTPConnection | None = None

    def ask(self) -> Answered:
        """Send one request and read its whole answer."""
        at = time.monotonic()
        release = wrong = ""
        try:
            release, wrong = self._asked()
        except (OSError, http.client.HTTPException) as error:
            wrong = _wrong(error)
        if wrong or not self.client.keeps:
            self.close()
        return Answered(at, time.monotonic() - at, release, wrong, self.client.slow)

    def close(self) -> None:
        """Hang up."""
        if self._line:
            self._line.close()
            self._line = None

    def _asked(self) -> tuple[str, str]:
        client, line = self.client, self._connected()
        path = client.path or (self.url.path or "/") + (f"?{self.url.query}" if self.url.query else "")
        headers = {"Connection": "keep-alive" if client.keeps else "close"}
        if client.body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        line.request(client.method, path, client.body, headers)
        answer = line.getresponse()
        body = answer.read()  # all of it: only then is a short one an error
        if answer.status >= 500:
            return "", f"{client.method} {path} answered {answer.status}"
        return _release(answer, body), ""

    def _connected(self) -> http.client.HTTPConnection:
        if self._line and (self._line.sock is None or _dropped(self._line.sock)):
            self.close()
        if not self._line:
            kind = http.client.HTTPSConnection if self.url.scheme == "https" else http.client.HTTPConnection
            self._line = kind(self.url.hostname or "", self.url.port, timeout=self.client.limit_s)
            self._line.connect()
            self._line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._line


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
        case http.client.RemoteDisconnected():
            return "closed without an answer"
        case ConnectionError():
            return "reset"
        case TimeoutError():
            return "no answer in time"
        case http.client.IncompleteRead():
            return "cut short"
    return f"{type(error).__name__}: {error}"
