"""ask: what a URL answers, asked by curl, by python3 or by perl; over TCP and on a unix socket."""

import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from releases.scripts import TEMPLATES, quoted
from tests.conftest import require
from tests.scripts.running import Here
from tests.sshd import toolbox

ASKS = (TEMPLATES / "remote" / "health.sh.j2").read_text()
TOOLS = ("curl", "python3", "perl")
released = threading.Event()


class Answers(BaseHTTPRequestHandler):
    """Answers with the status in the path."""

    def do_GET(self) -> None:
        if self.path == "/slow":
            released.wait(30)
        status = int(self.path[1:4]) if self.path[1:4].isdigit() else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"http://{self.headers['Host']}/login")
        body = self.headers["Host"].encode()
        size = len(body) + (self.path == "/200-cut") * 1000
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/200-cut":
            self.wfile.flush()
            released.wait(30)

    def address_string(self) -> str:
        return "client"

    def log_message(self, *_: object) -> None:
        """Nothing."""


class OnSocket(ThreadingHTTPServer):
    """The same on a unix socket."""

    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0


@pytest.fixture(params=["tcp", "unix"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The beginning of its URLs, and its socket if it has one."""
    released.clear()
    path = str(tmp_path / "it's a socket")
    running = OnSocket(path, Answers) if request.param == "unix" else ThreadingHTTPServer(("127.0.0.1", 0), Answers)  # type: ignore[arg-type]
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield ("http://localhost", path) if request.param == "unix" else (f"http://127.0.0.1:{running.server_port}", "")
    released.set()
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture(params=TOOLS)
def asker(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """A host that has only one of the tools, and which."""
    require("" if shutil.which(request.param) else f"no {request.param}: apt-get install {request.param}")
    box = toolbox(tmp_path / "asks", "sh", "sed", "tr", *([] if request.param == "python3" else [request.param]))
    if request.param == "python3":
        (box / "python3").symlink_to(sys.executable)
    return str(box), request.param


def ask(here: Here, path: str, url: str, at: str = "", host: str = "", limit: str = "5", **environment: str) -> str:
    """What `ask` says."""
    script = f"set -eu\n{ASKS}\nask {quoted((url, at, host, limit))}"
    process = here.start(here.sh, "-c", script, path=path, **environment)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")
    return out.decode()


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Here]:
    """One shell is enough where a tool is on trial."""
    require(Here.missing("dash"))
    (tmp_path / "host").mkdir()
    found = Here("dash", tmp_path / "host")
    yield found
    found.end()


def test_the_status_is_what_is_said(plain: Here, server: tuple[str, str], asker: tuple[str, str]) -> None:
    """Any of them; a redirect is not followed, and says where to, where the tool can."""
    (base, path), (tools, name) = server, asker
    assert [ask(plain, tools, f"{base}/{status}", path) for status in (200, 204, 404, 500, 503)] == [
        "200", "204", "404", "500", "503",
    ]  # fmt: skip
    moved = ask(plain, tools, f"{base}/302?a=b&c", path, "shop.example.com")
    assert moved == ("302" if name == "perl" else "302 to http://shop.example.com/login")


def test_what_is_late_is_no_status(plain: Here, server: tuple[str, str], asker: tuple[str, str]) -> None:
    """And the reason is one line for people."""
    (base, path), (tools, _) = server, asker
    said = ask(plain, tools, f"{base}/slow", path, limit="1")
    assert ("timed out" in said, said[0].isdigit(), "\n" in said) == (True, False, False)


def test_an_answer_that_stops_in_the_middle_is_not_healthy(plain: Here, asker: tuple[str, str], tmp_path: Path) -> None:
    """Its status came; the rest did not. Only perl, which reads no further, does not notice."""
    tools, name = asker
    released.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}).start()
        said = ask(plain, tools, f"http://127.0.0.1:{running.server_port}/200-cut", limit="1")
        released.set()
        running.shutdown()
    assert said.startswith("2") is (name == "perl"), said


def test_what_is_refused_is_told(plain: Here, asker: tuple[str, str]) -> None:
    """Nobody listens there; there is no such socket; what listens speaks no HTTP."""
    tools, _ = asker
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = ask(plain, tools, f"http://127.0.0.1:{port}/")
    assert ("refused" in said.lower() or "connect" in said.lower(), said[:1].isdigit()) == (True, False)
    said = ask(plain, tools, "http://localhost/", str(plain.base / "nowhere.sock"))
    assert not (said or "0")[0].isdigit()
    with socket.create_server(("127.0.0.1", 0)) as odd:
        thread = threading.Thread(target=_speak, args=(odd,))
        thread.start()
        said = ask(plain, tools, f"http://127.0.0.1:{odd.getsockname()[1]}/")
        thread.join()
    assert (said or "0")[0] not in "023"


def test_neither_a_proxy_nor_a_curlrc_is_asked(plain: Here, server: tuple[str, str], asker: tuple[str, str]) -> None:
    """The account's environment says nothing about the host's own health."""
    (base, path), (tools, _) = server, asker
    (plain.base / ".curlrc").write_text("--fail\nproxy = http://127.0.0.1:1\n")
    proxy = "http://127.0.0.1:1"
    assert ask(plain, tools, f"{base}/200", path, http_proxy=proxy, ALL_PROXY=proxy) == "200"


def test_every_shell_asks_alike(here: Here, server: tuple[str, str]) -> None:
    """With hostile words that stay words."""
    require("" if shutil.which("curl") else "no curl: apt-get install curl")
    box = toolbox(here.base / "asks", "curl", "sed", "tr")
    base, path = server
    assert ask(here, str(box), f"{base}/200?it's=$(touch%20pwned)", path) == "200"
    assert ask(here, str(box), f"{base}/302", path, "shop.example.com") == "302 to http://shop.example.com/login"
    assert not list(here.base.rglob("pwned"))


def test_a_host_without_any_of_them_says_nothing(plain: Here) -> None:
    """Which is no status."""
    box = toolbox(plain.base / "none", "sh", "sed", "tr")
    process = plain.start(plain.sh, "-c", f"{ASKS}\nask http://127.0.0.1:1/ '' '' 1", path=str(box))
    assert process.communicate()[0] == b""


def _speak(server: socket.socket) -> None:
    line, _ = server.accept()
    with line:
        line.sendall(b"220 mail.example.com ESMTP\r\n")
        line.recv(1000)
