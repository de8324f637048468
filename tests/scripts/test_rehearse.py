"""rehearse: a release is booted on a private socket, asked, and stopped; nothing of it is left."""

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from releases.plan import Step
from releases.processes.kind import Switch, rehearsal
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


def rehearsed(here: Here, status: str, command: str = "") -> Ran:
    """Rehearse a server that answers *status*."""
    here.release(A, {"server.py": SERVER})
    values = {"name": "web", "url": "http://localhost/", "host": "", "timeout_s": 5, "wait_s": 10}
    run = command or f"exec {shlex.quote(sys.executable)} server.py"
    step: Step = rehearsal(Switch(PurePosixPath(here.root), 1, A, None), "web", values, run, "", 30)
    return here.run(step, STATUS=status)


def left(here: Here) -> list[str]:
    """The sockets, and the directory that a deep root needs for one."""
    ours = [str(p) for p in Path("/tmp").glob(f"switchover-{os.getuid()}-*") if p.is_dir()]
    return [*map(str, here.private.glob("*.sock*")), *(ours if DEEP in str(here.root) else [])]


@pytest.mark.parametrize(("status", "code"), [("200", 0), ("500", 70)])
def test_a_release_is_asked_on_a_socket_that_can_be_bound(place: Here, status: str, code: int) -> None:
    """However deep the root is: a path of more than 107 bytes can be bound by nobody."""
    ran = rehearsed(place, status)
    assert ran.code == code, ran.err
    assert ("500" in ran.err) == (status == "500")
    assert left(place) == []
    assert place.processes() == []


def test_one_that_ends_says_why(place: Here) -> None:
    """With the line that names an error."""
    ran = rehearsed(place, "200", "echo 'ImportError: no module named shop' >&2; exit 3")
    assert ran.code == 70
    assert "it ended before it answered: ImportError: no module named shop" in ran.err
    assert left(place) == []
