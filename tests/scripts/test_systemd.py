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
from tests.hosts import host
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


def test_a_rehearsal_that_was_cut_short_is_ended_by_the_next_one(manager: Manager) -> None:
    """The line of the deploy before dropped while its instance was asked."""
    left = [f"shop-web-rehearsal@{A}.6.socket", f"shop-web-rehearsal@{A}.6.service"]
    manager.there(*left, f"shop-web@{A}.5.service")
    kind, switch = process(manager.here, health={"url": "/", "wait_s": 1})
    (rehearse,) = kind.rehearse(switch, host(A).facts)
    assert manager.run(rehearse).code == 70, "nobody answers"
    told = manager.told("start", "stop", "reset-failed")
    assert told[:4] == [f"{verb} {unit}" for unit in left for verb in ("stop", "reset-failed")]
    assert [line for line in told if f"@{A}." in line] == told[:4]


def test_what_is_left_of_a_rehearsal_is_ended_with_what_was_replaced(manager: Manager) -> None:
    """And the new instance is left alone."""
    old = [f"shop-web-private@{A}.5.socket", f"shop-web@{A}.5.service", f"shop-web-rehearsal@{A}.6.service failed"]
    manager.there(*old, f"shop-web@{B}.7.service", f"shop-web-private@{B}.7.socket", "shop-web.socket")
    kind, switch = process(manager.here)
    (retire,) = kind.finish(switch)
    ran = manager.run(retire)
    assert (ran.code, ran.err) == (0, "")
    assert manager.told("stop") == [f"stop --no-block {unit.split()[0]}" for unit in old]


def test_an_instance_that_cannot_be_told_to_stop_is_reported_and_the_others_are_told(manager: Manager) -> None:
    """The user manager is gone, or the sudoers rule."""
    old = [f"shop-web-private@{A}.5.socket", f"shop-web@{A}.4.service", f"shop-web@{A}.5.service"]
    manager.there(*old)
    manager.fails("stop", 4)
    kind, switch = process(manager.here)
    (retire,) = kind.finish(switch)
    ran = manager.run(retire)
    assert (ran.code, "Failed to stop" in ran.err) == (4, True)
    assert [line.split()[-1] for line in manager.told("stop")] == old


def test_instances_that_cannot_be_listed_are_not_taken_for_none(manager: Manager) -> None:
    """Nobody would ever tell them to stop."""
    manager.fails("list-units", 1)
    kind, switch = process(manager.here)
    (retire,) = kind.finish(switch)
    assert manager.run(retire).code == 1


def test_a_take_back_whose_instance_serves_on_is_not_taken_back(manager: Manager) -> None:
    """So the outcome is that hosts differ, and names it."""
    manager.fails("stop", 4)
    kind, switch = process(manager.here)
    (start,) = kind.before(switch)
    assert start.undo
    ran = manager.run(start.undo)
    assert (ran.code, "Failed to stop" in ran.err) == (4, True)
    assert [line.split()[-1] for line in manager.told("stop")] == [
        f"shop-web-private@{B}.7.socket", f"shop-web@{B}.7.service",
    ]  # fmt: skip
