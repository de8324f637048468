"""The scripts of kind systemd, with a systemctl that does as it is told."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath

import pytest

from releases import config as settings
from releases.plan import Step
from releases.processes.kind import Switch
from releases.processes.systemd import Systemd
from tests.scripts.running import A, B, Here, Ran
from tests.sshd import toolbox

# Notes every word; `units` has what list-units knows, and a file named after a verb gives its exit code.
SYSTEMCTL = """\
#!{sh}
[ "$1" != --user ] || shift
[ "$1" != --no-ask-password ] || shift
verb=$1
echo "$*" >>{base}/told
case $verb in
  show) case $3 in ActiveState) echo active ;; InvocationID) echo 1 ;; NRestarts) echo 0 ;; esac ;;
  list-units)
    for wanted; do :; done
    while read -r id rest; do case $id in $wanted) echo "$id $rest" ;; esac; done <{base}/units ;;
esac
[ ! -e "{base}/fails.$verb" ] || {{ echo "Failed to $*" >&2; exit "$(cat "{base}/fails.$verb")"; }}
"""


@dataclass
class Manager:
    """A host's systemd that has these *units*, and what it was told."""

    here: Here

    def __post_init__(self) -> None:
        self.tools = self.here.base / "manager"
        toolbox(self.tools, "curl")
        self.there()
        program = self.tools / "systemctl"
        program.write_text(SYSTEMCTL.format(sh=self.here.sh, base=self.here.base))
        program.chmod(0o755)

    def there(self, *units: str) -> None:
        """What is loaded: ``UNIT`` is active, ``UNIT STATE`` is in that state."""
        lines = (f"{unit} loaded {state or 'active'} x x" for unit, _, state in (u.partition(" ") for u in units))
        (self.here.base / "units").write_text("".join(f"{line}\n" for line in lines))

    def fails(self, verb: str, code: int) -> None:
        """From now on *verb* ends with *code*."""
        (self.here.base / f"fails.{verb}").write_text(str(code))

    def told(self, *verbs: str) -> list[str]:
        """What it was told, of these verbs."""
        path = self.here.base / "told"
        return [line for line in path.read_text().splitlines() if line.split()[0] in verbs] if path.exists() else []

    def run(self, step: Step) -> Ran:
        """Run a step on its host."""
        return self.here.run(step, path=f"{self.tools}:{self.here.path}")


@pytest.fixture
def manager(here: Here) -> Manager:
    """A systemd that has no units yet."""
    return Manager(here)


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """Somebody who answers everything with 200."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def process(here: Here, **more: object) -> tuple[Systemd, Switch]:
    """A process on the root of this host, and the switch from A to B."""
    wanted = settings.Systemd.model_validate({"command": "x", "listen": "127.0.0.1:8000", **more})
    root = PurePosixPath(here.root)
    return Systemd("web", "shop", root, wanted), Switch(root, 7, B, A)


@pytest.mark.parametrize("listen", ["", "127.0.0.1:8000"])
def test_a_full_url_is_asked_where_it_says(manager: Manager, server: ThreadingHTTPServer, listen: str) -> None:
    """A worker has no private socket, and what speaks TLS does not speak it there."""
    health = {"url": f"http://127.0.0.1:{server.server_port}/", "wait_s": 1}
    kind, switch = process(manager.here, listen=listen, health=health)
    (start,) = [*kind.before(switch), *kind.after(switch)]
    ran = manager.run(start)
    assert ran.code == 0, ran.err
