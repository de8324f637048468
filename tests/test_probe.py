"""The probe: figures from answers, and answers from a server that fails on purpose."""

import itertools
import math
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from releases.figures import Answered, figures
from releases.probe import Asker, Client, Load, watch


def test_failures_are_counted_and_the_first_ones_named() -> None:
    """Each kind once, in the order in which they came."""
    wrong = ["refused", "reset", "refused", "no answer in time", "cut short"]
    found = figures([Answered(i, 0.1, wrong=why) for i, why in enumerate(wrong)], 0, 10)
    assert (found.count, found.wrong) == (5, 5)
    assert found.examples == ("refused", "reset", "no answer in time")


def test_the_gap_is_the_longest_time_without_a_good_answer() -> None:
    """From its beginning to its end; neither a failure nor a slow answer ends it."""
    good = [Answered(1.0, 0.5), Answered(4.0, 0.5)]
    between = [Answered(2.0, 0.1, wrong="refused"), Answered(2.0, 0.5, slow=True)]
    assert figures([*good, *between], 1.0, 5.0).gap_s == 3.0
    assert figures([*good, *between], 1.0, 9.0).gap_s == 4.5
    assert figures([], 0.0, 2.0).gap_s == 2.0


def test_percentiles_are_of_good_answers_that_were_not_asked_to_be_slow() -> None:
    """The nearest rank."""
    answers = [Answered(0, i / 1000) for i in range(1, 101)]
    found = figures([*answers, Answered(0, 1.0, slow=True), Answered(0, 2.0, wrong="reset")], 0, 5)
    assert (found.p50_ms, found.p99_ms) == (50.0, 99.0)
    assert math.isnan(figures([], 0, 1).p99_ms)
    assert str(figures([], 0, 1)) == "0 requests, 0 failed, longest gap 1.00 s"


def test_what_ended_outside_of_the_span_does_not_count() -> None:
    """A request belongs to the span that it ends in."""
    found = figures([Answered(0.9, 0.05, "a"), Answered(0.9, 0.2, "b"), Answered(1.9, 0.2, "c")], 1.0, 2.0)
    assert (found.count, found.releases) == (1, ("b",))


class Handler(BaseHTTPRequestHandler):
    """Answers as the path says."""

    protocol_version = "HTTP/1.1"
    counter = itertools.count()

    def do_GET(self) -> None:
        """``/500``, ``/cut``, ``/hangup``, ``/slow``, ``/header``, ``/json``; else a page."""
        match self.path:
            case "/500":
                self.send_error(500)
            case "/cut":
                self.send_response(200)
                self.send_header("Content-Length", "100")
                self.end_headers()
                self.wfile.write(b"half")
                self.close_connection = True
            case "/hangup":
                self.close_connection = True
            case "/slow":
                time.sleep(0.5)
                self.answer(b"slow")
            case "/header":
                self.answer(b"page", ("X-Release", "20310504T030201Z-9fceb02c"))
            case "/json":
                self.answer(b'{"release": "20310504T030201Z-9fceb02c"}')
            case "/changes":
                self.answer(b"%d" % (next(self.counter) // 3))
            case _:
                self.answer(b"page")

    def do_POST(self) -> None:
        """An echo."""
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body: bytes, *headers: tuple[str, str]) -> None:
        """200."""
        self.send_response(200)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing."""


@contextmanager
def serving() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as running:
        yield running


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/", ""),
        ("/500", "GET /500 answered 500"),
        ("/cut", "cut short"),
        ("/hangup", "closed without an answer"),
        ("/slow", "no answer in time"),
    ],
)
def test_each_way_to_fail_has_its_name(url: str, path: str, wrong: str) -> None:
    """What a client meets, not what a library calls it."""
    assert Asker(url, Client(path=path, limit_s=0.2)).ask().wrong == wrong


def test_a_connection_that_is_reset_is_told_from_one_that_is_closed() -> None:
    """With SO_LINGER 0 a close is a reset."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            line, _address = server.accept()
            line.recv(4096)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            line.close()

        thread = threading.Thread(target=serve)
        thread.start()
        assert Asker(f"http://127.0.0.1:{server.getsockname()[1]}", Client()).ask().wrong == "reset"
        thread.join()


def test_nobody_there_is_refused() -> None:
    """A port that was free a moment ago."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert Asker(f"http://127.0.0.1:{port}", Client()).ask().wrong == "refused"


@pytest.mark.parametrize("path", ["/header", "/json"])
def test_an_answer_tells_its_release(url: str, path: str) -> None:
    """By a header or its JSON."""
    assert Asker(url, Client(path=path)).ask().release == "20310504T030201Z-9fceb02c"


def test_a_kept_connection_that_was_closed_while_idle_is_no_failure() -> None:
    """As for a browser: it looks before it asks; a new one is opened."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        asker = Asker(f"http://127.0.0.1:{server.getsockname()[1]}", Client(keeps=True))

        def serve() -> None:
            for _ in range(2):
                line, _address = server.accept()
                line.recv(4096)
                line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                line.close()

        thread = threading.Thread(target=serve)
        thread.start()
        first = asker.ask()
        time.sleep(0.05)
        second = asker.ask()
        thread.join()
        asker.close()
    assert (first.wrong, second.wrong) == ("", "")


GET, POST = Client(keeps=True, retries=True), Client(keeps=True, retries=True, method="POST")
OK, RESET = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""
CUT = OK.replace(b"h: 0", b"h: 5")


def met(client: Client, *lines: tuple[bytes, ...]) -> list[tuple[str, bool]]:
    """What was wrong with each request, and whether it was sent again; each of *lines* is what a connection answers.

    After the last of its answers it hangs up, under a request; with `RESET` it resets.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answers in lines:
                line, _address = server.accept()
                with line:
                    for answer in answers:
                        line.recv(4096)
                        line.sendall(answer)
                        if answer == RESET:
                            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        thread = threading.Thread(target=serve)
        thread.start()
        asker = Asker(f"http://127.0.0.1:{server.getsockname()[1]}", client)
        found = [asker.ask() for _ in range(2)]
        asker.close()
        thread.join()
    return [(answered.wrong, answered.retried) for answered in found]


def test_a_get_whose_kept_connection_is_closed_under_it_is_sent_again_as_browsers_do() -> None:
    """RFC 9112, 9.3.1; and counted."""
    assert met(GET, (OK, RESET), (OK,)) == [("", False), ("", True)]
    answers = [Answered(1.0, 0.1, "a"), Answered(1.2, 0.1, "a", retried=True)]
    found = figures(answers, 0.0, 2.0)
    assert (found.count, found.wrong, found.retried) == (2, 0, 1)
    assert "2 requests, 0 failed, 1 sent again after its kept connection was closed" in str(found)


def test_it_is_sent_again_once() -> None:
    """What happens twice is no race."""
    assert met(GET, (OK, RESET), (RESET,)) == [("", False), ("reset", True)]


@pytest.mark.parametrize(
    ("client", "lines", "wrong"),
    [
        (replace(GET, retries=False), (OK, RESET), "reset"),
        (POST, (OK, RESET), "reset"),
        (GET, (OK, CUT), "cut short"),
    ],
    ids=["nobody said so", "a POST", "an answer had begun"],
)
def test_what_may_have_been_done_or_said_is_not_sent_again(
    client: Client, lines: tuple[bytes, ...], wrong: str
) -> None:
    """It failed."""
    assert met(client, lines) == [("", False), (wrong, False)]


def test_nor_is_what_a_new_connection_did_not_answer() -> None:
    """Somebody was asked, and hung up."""
    assert met(GET, (RESET,), (OK,)) == [("reset", False), ("", False)]


def test_a_load_has_all_its_clients_asking_until_it_is_stopped(url: str) -> None:
    """And says what they met."""
    clients = (Client(), Client(keeps=True), Client(method="POST", body=b"a=b", keeps=True), Client(path="/500"))
    load, began = Load(url, clients), time.monotonic()
    load.start()
    time.sleep(0.3)
    load.stop()
    ended = time.monotonic()
    found = load.between(began, ended)
    assert found.count > found.wrong > 0
    assert found.examples == ("GET /500 answered 500",)
    time.sleep(0.05)
    assert load.between(ended, math.inf).count == 0


def test_a_watcher_sees_down_up_and_changed(url: str) -> None:
    """Three answers of each page."""
    states = [state for state, _ in itertools.islice(watch(f"{url}/changes", limit_s=1, every_s=0), 7)]
    assert states == ["UP", "UP", "UP", "UP AND CHANGED", "UP", "UP", "UP AND CHANGED"]
    assert next(iter(watch(f"{url}/500", limit_s=1, every_s=0)))[0] == "DOWN"


def test_what_is_no_url_is_said_at_once() -> None:
    """Before anything is asked."""
    with pytest.raises(ValueError, match="no http"):
        watch("ftp://example.com", limit_s=1, every_s=1)
    with pytest.raises(ValueError, match=r"^nonsense\.invalid: no such host"):
        watch("nonsense.invalid", limit_s=1, every_s=1)
