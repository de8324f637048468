"""A release that does not answer, or a server that is not what it says: refused or taken back; the old one stays."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.app import App, until
from tests.refusal import OUTCOMES, refused, told

pytestmark = pytest.mark.journey


@contextmanager
def answering(status: int, headers: dict[str, str] | None = None, *, after_s: float = 0.0) -> Iterator[str]:
    """A real HTTP server that answers so; yields its URL."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(after_s)
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/health"
        server.shutdown()
        thread.join()


@contextmanager
def silent() -> Iterator[str]:
    """One that takes a connection, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


@contextmanager
def absent() -> Iterator[str]:
    """A port where nothing listens."""
    with silent() as url:
        pass
    yield url


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (lambda: silent(), "did not answer: "),
        (lambda: absent(), "did not answer: "),
        (lambda: answering(500), "answered 500, wanted 200"),
        (lambda: answering(404), "answered 404, wanted 200"),
        (lambda: answering(302, {"Location": "https://sso.example.com/"}), "answered 302 to https://sso.example.com/"),
        (lambda: answering(200, after_s=2), "did not answer: "),
    ],
    ids=["silent", "absent", "500", "404", "redirect", "slow"],
)
def test_a_site_that_does_not_answer_200_goes_back(app: App, server: Callable[..., object], why: str) -> None:
    """Within ``wait_s``; the reason is what was answered, or why nothing was."""
    app.deploy("v1")
    app.write("v2")
    with server() as url:  # type: ignore[attr-defined]
        app.configure(f'[health]\nurl = "{url}"\ntimeout_s = 0.5\nwait_s = 1\n')
        result = app.run("deploy", limit_s=15)
    told(result, code=12, says=("127.0.0.1:", "prove failed", url, why))
    assert app.live == "v1"
    assert f"live: {app.releases[0]}" in result.err


def test_json_ends_with_what_became_of_a_site_that_did_not_answer(app: App) -> None:
    """And with what is live on each host."""
    app.deploy("v1")
    app.write("v2")
    with absent() as url:
        app.configure(f'[health]\nurl = "{url}"\nwait_s = 0.5\n')
        last = app.run("deploy", "--json").events[-1]
    assert (last["event"], last["outcome"], last["exit"]) == ("outcome", OUTCOMES[12], 12)
    assert list(last["hosts"].values()) == [f"live: {app.releases[0]}"]


@pytest.fixture
def pidfile(app: App) -> Iterator[Path]:
    """The application has a gunicorn that is found by this file; it is ended with the test."""
    (app.folder / "wsgi.py").write_text('def app(e, s):\n    s("200 OK", [])\n    return [b"hello"]\n')
    with absent() as url:
        port = url.rpartition(":")[2].strip("/")
    file = app.root / "shared" / "gunicorn.pid"
    file.parent.mkdir()
    gunicorn = f"{sys.executable} {Path(sys.executable).parent / 'gunicorn'}"
    (app.folder / "gunicorn.conf.py").write_text("timeout = 20\n")
    configured = f"--config {app.root}/current/gunicorn.conf.py"
    options = f"{configured} --daemon --pid {file} --bind 127.0.0.1:{port} --chdir {app.root}/current"
    app.configure(
        f'[processes.web]\nkind = "gunicorn"\npidfile = "shared/gunicorn.pid"\nhealth = "{url}"\n'
        f'start = "{gunicorn} {options} wsgi:app"\n'
    )
    yield file
    if is_gunicorn(file):
        end(int(file.read_text()))


def is_gunicorn(file: Path) -> bool:
    """Whether a gunicorn runs under the pid in *file*."""
    try:
        return b"gunicorn" in Path(f"/proc/{int(file.read_text())}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False


def end(pid: int) -> None:
    """Kill a gunicorn and its workers, and wait until they are gone."""
    all_of_it = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    for each in all_of_it:
        os.kill(each, signal.SIGKILL)
    until(lambda: not any(Path(f"/proc/{each}").exists() for each in all_of_it), what="its end")


@pytest.mark.parametrize(
    ("holds", "why"),
    [(str(os.getpid()), f"names pid {os.getpid()}"), ("text\n", "holds no pid"), ("-1", "holds no pid")],
    ids=["stranger", "text", "negative"],
)
def test_a_pidfile_that_names_a_stranger_signals_nobody(app: App, pidfile: Path, holds: str, why: str) -> None:
    """Or it would be sent a HUP."""
    pidfile.write_text(holds)
    refused(app, "deploy", says=("127.0.0.1:", "web: ", str(pidfile), why, "remove the pidfile"))


def test_a_gunicorn_that_is_down_is_started(app: App, pidfile: Path) -> None:
    """Whether it never ran, or died and left its pid; what is live already is not touched without ``--force``.

    Until then `status` and `doctor` say that it is down.
    """
    gone = subprocess.Popen(["true"])
    gone.wait()
    pidfile.write_text(str(gone.pid))
    app.deploy("v1")
    assert is_gunicorn(pidfile)
    end(int(pidfile.read_text()))
    noted, bites = app.run("status"), app.run("doctor")
    assert (noted.code, "web: its master is not running: `inv deploy`" in noted.out) == (0, True), noted.out
    assert (bites.code, "web: its master is not running\n  hint: `inv deploy`" in bites.out) == (10, True), bites.out
    result = app.run("deploy")
    told(result, code=11, says=("127.0.0.1:", "web: its master is not running"), hint="`inv deploy --force`")
    assert app.run("deploy", "--force").code == 0
    assert is_gunicorn(pidfile)


def test_a_port_that_is_taken_is_named_and_no_success_is_claimed(app: App, pidfile: Path) -> None:
    """P3: neither release comes up on it, and outcome and `status` say so; what gunicorn said before is not told."""
    text = (app.folder / "deploy.toml").read_text()
    log, port = app.root / "shared" / "gunicorn.log", int(text.partition("http://127.0.0.1:")[2].partition("/")[0])
    log.write_text("[ERROR] an old story\n")
    (app.folder / "deploy.toml").write_text(text.replace("--daemon", f"--daemon --log-file {log}"))
    app.deploy("v1")
    end(int(pidfile.read_text()))
    with socket.create_server(("127.0.0.1", port)):
        app.write("v2")
        result = app.run("deploy")
    assert (result.code, app.live) == (13, "v1"), result.err
    said = result.err.splitlines()
    assert "taken back in part" in said[-2]
    assert re.search(rf"its master ended before it had a worker: .*\b{port}\b.* in use", said[-2])
    assert said[-1].endswith(", not taken back whole")
    assert "an old story" not in result.err
    assert "taken back in part" in app.run("status").out
    assert app.run("deploy").code == 0
    assert is_gunicorn(pidfile)


def test_a_gunicorn_release_that_cannot_be_imported_never_meets_the_running_one(app: App, pidfile: Path) -> None:
    """It is rehearsed first; the reason is that of Python."""
    app.deploy("v1")
    master = pidfile.read_text()
    (app.folder / "wsgi.py").write_text("import no_such_module\n")
    result = app.run("deploy")
    assert (result.code, app.live) == (11, "v1")
    assert "failed, nothing was switched" in result.err
    assert "No module named 'no_such_module'" in result.err.splitlines()[-2]
    assert (pidfile.read_text(), is_gunicorn(pidfile)) == (master, True)


@pytest.mark.parametrize("health", [True, False], ids=["health", "no health"])
def test_a_configuration_that_preloads_never_meets_the_running_one(app: App, pidfile: Path, health: bool) -> None:
    """P3: a HUP would go on with the old code, and nothing in /proc would tell."""
    text = (app.folder / "deploy.toml").read_text()
    url = text.partition('health = "')[2].partition('"')[0]
    if not health:
        (app.folder / "deploy.toml").write_text(text.replace(f'health = "{url}"\n', ""))
    app.deploy("v1")
    (app.folder / "gunicorn.conf.py").write_text("timeout = 20\npreload_app = True\n")
    (app.folder / "wsgi.py").write_text('def app(e, s):\n    s("200 OK", [])\n    return [b"new"]\n')
    result = app.run("deploy")
    told(result, code=11, says=("rehearse web", "preload_app", "a HUP never loads new code"))
    assert app.live == "v1"
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"hello"
