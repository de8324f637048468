"""The scripts of kind systemd, with a systemctl that does as it is told."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath

import pytest

from releases import config as settings
from releases.facts import Facts, Running
from releases.plan import Step
from releases.processes.kind import Switch
from releases.processes.systemd import Systemd
from releases.proofs import prove
from releases.scripts import environment
from releases.setup import setup
from tests.hosts import config, host
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
  show)
    case $3 in ActiveState) echo active ;; InvocationID) echo 1 ;; Id) cat {base}/shown ;; esac ;;
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

    def shows(self, properties: list[str]) -> None:
        """What is said of all instances."""
        (self.here.base / "shown").write_text("\n".join([*properties, ""]))

    def fails(self, verb: str, code: int) -> None:
        """From now on *verb* ends with *code*."""
        (self.here.base / f"fails.{verb}").write_text(str(code))

    def told(self, *verbs: str) -> list[str]:
        """What it was told, of these verbs."""
        path = self.here.base / "told"
        return [line for line in path.read_text().splitlines() if line.split()[0] in verbs] if path.exists() else []

    def run(self, step: Step) -> Ran:
        """Run a step on its host."""
        nowhere = str(self.here.base)
        return self.here.run(
            step, path=f"{self.tools}:{self.here.path}", XDG_CONFIG_HOME=nowhere, XDG_RUNTIME_DIR=nowhere
        )


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
    (start,) = [*kind.before(switch), *kind.after(switch, host().facts)]
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


def facts_of(manager: Manager, switch: Switch | None) -> tuple[Systemd, Facts]:
    """What a proof is told."""
    kind, _ = process(manager.here, health="/")
    wanted = config(root=manager.here.root)
    step = replace(prove(wanted, B, (kind,), switch, wait_s=1), judge=None)
    ran = manager.run(step)
    return kind, Facts.of("web1", ran.answer, now=datetime.now(UTC))


def test_only_what_a_switch_has_started_must_never_have_crashed(manager: Manager) -> None:
    """What is live since long may have."""
    manager.shows(f"Id=shop-web@{B}.7.service ActiveState=active SubState=running MainPID=1 NRestarts=3".split())
    kind, facts = facts_of(manager, None)
    assert kind.proof(B, facts)
    kind, facts = facts_of(manager, process(manager.here)[1])
    assert "restarted 3 times" in kind.proof(B, facts).why


def test_a_process_that_the_host_hides_from_us_is_told_by_its_unit(here: Here) -> None:
    """P6: hidepid; else the release that it drains in would be pruned."""
    script = f"set -eu\n{environment().get_template('remote/facts.sh.j2').render()}\n"
    none = 4194304  # the limit of Linux, and one more than any has
    told = f"{none} {A} {A} shop-web@{A}.5.service"
    ran = here.run(f"{script}printf '%s\\n' '{told}' '{none} {B} {B}' | describe")
    assert (ran.code, ran.answer.all("process")) == (0, (f"{none} 0 0 shop-web@{A}.5.service ? {A} {A}",)), ran.err
    process = Running.parse(ran.answer.one("process"))
    assert (process.pid, process.uses, process.release) == (none, frozenset({A}), A)


def setting_up(manager: Manager, **process: object) -> Ran:
    """Set up a process of the user scope."""
    wanted = config(root=manager.here.root, processes={"web": {"kind": "systemd", "command": "x", **process}})
    return manager.run(setup(wanted, host(settings=wanted).facts))


def test_setup_leaves_the_units_of_another_application_alone(manager: Manager) -> None:
    """App a with process b-c and app a-b with process c have the same."""
    unit = manager.here.base / "systemd/user/shop-web@.service"
    assert setting_up(manager).code == 0
    assert f"cd {manager.here.root}/releases/" in unit.read_text()
    assert setting_up(manager, drain_s=5).code == 0
    other = unit.read_text().replace(str(manager.here.root), "/srv/other")
    unit.write_text(other)
    ran = setting_up(manager)
    assert (ran.code, f"{unit} belongs to another application" in ran.err) == (73, True)
    assert unit.read_text() == other


def test_setup_writes_what_settles_at_boot_whole_or_not_at_all(manager: Manager) -> None:
    """On a disk that is full, the one that was there still works."""
    boot = manager.here.private / "boot"
    boot.write_text("echo old\n")
    before = boot.stat().st_ino
    assert setting_up(manager).code == 0
    assert (boot.stat().st_ino == before, "settle" in boot.read_text()) == (False, True)
    assert not list(manager.here.private.glob(".boot*"))


def test_setup_tells_what_makes_a_boot_settle_where_no_unit_does(manager: Manager) -> None:
    """Which needs no root; with a unit, or once it is there, nothing is told."""
    here, wanted = manager.here, config(root=manager.here.root)
    program = manager.tools / "crontab"
    program.write_text(f"#!{here.sh}\ncat {here.base}/crontab\n")
    program.chmod(0o755)

    def told() -> tuple[str, ...]:
        ran = manager.run(setup(wanted, host(settings=wanted).facts))
        assert (ran.code, ran.answer.all("need"), ran.err) == (0, (), "")
        return ran.answer.all("cron")

    assert told() == (f"@reboot sh {here.private}/boot",)
    assert setting_up(manager).answer.all("cron") == ()
    (here.base / "crontab").write_text("\n".join(told()))
    assert told() == ()
    started = {"kind": "gunicorn", "pidfile": "web.pid", "start": "run"}
    wanted = config(root=here.root, processes={"web": started})
    assert told() == (f"@reboot sh {here.private}/boot start",)
    wanted = config(root=here.root, processes={"web": started, "job": {"kind": "systemd", "command": "x"}})
    ran = manager.run(setup(wanted, host(settings=wanted).facts))
    assert ran.answer.all("cron") == (f"@reboot sh {here.private}/boot start",)
    (here.base / "crontab").write_text("\n".join(ran.answer.all("cron")))
    assert manager.run(setup(wanted, host(settings=wanted).facts)).answer.all("cron") == ()
