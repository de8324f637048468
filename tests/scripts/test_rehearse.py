"""rehearse: a release is booted on a private socket, asked, and stopped; nothing of it is left."""

import hashlib
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from releases.plan import Step
from releases.processes.kind import Switch, rehearsal
from releases.scripts import quoted
from tests.conftest import require
from tests.scripts.running import SHELLS, A, Here, Ran
from tests.sshd import toolbox

SERVER = """\
import os, socketserver
from http.server import BaseHTTPRequestHandler
class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(os.environ["STATUS"]))
        self.end_headers()
    def address_string(self):
        return "client"
socketserver.UnixStreamServer(os.environ["SOCKET"], Answers).serve_forever()
"""
DEEP = "d" * 120


@pytest.fixture(params=[(shell, depth) for shell in SHELLS for depth in ("", DEEP)], ids=lambda p: f"{p[0]}{p[1][:4]}")
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Here]:
    """A host whose root is deep, or is not."""
    shell, depth = request.param
    require(Here.missing(shell))
    (tmp_path / depth).mkdir(exist_ok=True)
    found = Here(shell, tmp_path / depth)
    toolbox(tmp_path / depth / "bin", *(("curl",) if shell == "busybox" else ()))
    yield found
    found.end()


def rehearsed(here: Here, status: str, command: str = "", **more: object) -> Ran:
    """Rehearse a server that answers *status*."""
    here.release(A, {"server.py": SERVER})
    values = {"name": "web", "url": "http://localhost/", "host": "", "timeout_s": 5, "wait_s": 10, **more}
    run = command or f"exec {shlex.quote(sys.executable)} server.py"
    step: Step = rehearsal(Switch(PurePosixPath(here.root), 1, A, None), "web", values, run, "", 30)
    return here.run(step, STATUS=status)


def left(here: Here) -> list[str]:
    """The sockets, and the directory that a deep root needs for one."""
    digest = hashlib.sha256(str(here.root).encode()).hexdigest()[:16]
    ours = Path(f"/tmp/switchover-{os.getuid()}-{digest}")
    return [*map(str, here.private.glob("*.sock*")), *([str(ours)] if ours.exists() else [])]


@pytest.mark.parametrize(("status", "code"), [("200", 0), ("500", 70)])
def test_a_release_is_asked_on_a_socket_that_can_be_bound(place: Here, status: str, code: int) -> None:
    """However deep the root is: a path of more than 107 bytes can be bound by nobody."""
    ran = rehearsed(place, status)
    assert ran.code == code, ran.err
    assert ("500" in ran.err) == (status == "500")
    assert ran.answer.one("record") == ("http://localhost/ answered 500, wanted 200" if code else "")
    assert left(place) == []
    assert place.processes() == []


def test_one_that_ends_says_why(place: Here) -> None:
    """With the line that names an error."""
    ran = rehearsed(place, "200", "echo 'ImportError: no module named shop' >&2; exit 3")
    assert ran.code == 70
    assert "it ended before it answered: ImportError: no module named shop" in ran.err
    assert ran.answer.one("record") == "it ended before it answered"
    assert left(place) == []


def test_variables_arrive_as_the_running_one_has_them(place: Here) -> None:
    """Keys and certificates have several lines, and may end in one."""
    key = "-----BEGIN-----\n it's a key\n\n-----END-----\n"
    said = "o\\n\u2603"
    running = place.start("sleep", "60", KEY=key, SAID=said)
    command = f'[ "$KEY" = {quoted(key)} ] && [ "$SAID" = {quoted(said)} ]'
    ran = rehearsed(place, "", command, url="", inherits=running.pid)
    assert ran.code == 0, ran.err
    assert left(place) == []


@pytest.mark.parametrize(
    ("printing", "why"),
    [
        ("echo 'preload_app   = True'", "a HUP never loads new code"),
        ("echo 'preloads = True'", "says nothing of preload_app"),
        ("echo 'preload_app = False'; echo 'ImportError: no shop' >&2; exit 1", "cannot load it: ImportError: no shop"),
    ],
)
def test_what_a_reload_would_not_load_is_not_booted(place: Here, printing: str, why: str) -> None:
    """P3: or the old code would be taken for the new."""
    ran = rehearsed(place, "200", "echo booted >&2", printing=printing)
    assert (ran.code, why in ran.err, "booted" in ran.err) == (70, True, False), ran.err
    assert left(place) == []


@pytest.mark.parametrize(("requests", "recycles"), [("0", False), ("1000", True)])
def test_a_configuration_that_a_reload_loads_is_booted(place: Here, requests: str, recycles: bool) -> None:
    """And whether its workers are recycled is written down for the proof."""
    printing = f"echo 'max_requests        = {requests}'; echo 'max_requests_jitter = 5'; echo 'preload_app = False'"
    ran = rehearsed(place, "200", printing=printing)
    assert ran.code == 0, ran.err
    assert (place.private / "recycles.web").exists() == recycles
    assert left(place) == []


def test_nothing_is_booted_where_only_the_configuration_is_asked(place: Here) -> None:
    """Of a process without a health."""
    place.release(A)
    values = {
        "name": "web",
        "url": "",
        "host": "",
        "timeout_s": 5,
        "wait_s": 10,
        "printing": "echo 'preload_app = False'",
    }
    ran = place.run(rehearsal(Switch(PurePosixPath(place.root), 1, A, None), "web", values, "", "", 30))
    assert ran.code == 0, ran.err
