"""Hosts that leave the rotation of a balancer while they switch: a real HAProxy, three roots behind one sshd."""

import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from releases.figures import Figures
from releases.probe import Client, Load
from tests.app import until
from tests.balancer import HAProxy, Nginx, missing, serving
from tests.conftest import require
from tests.journeys.test_fleet import FAILS, NAMES, Fleet, strategy
from tests.refusal import listing, told
from tests.sshd import Sshd, free_port

pytestmark = pytest.mark.journey
UP = dict.fromkeys(NAMES, "UP")


class Balanced(Fleet):
    """Three hosts that a balancer knows by their names."""

    turn = 0

    def change(self) -> None:
        """Write the next version; what each *was* is kept, and what it would be *now*."""
        self.turn += 1
        self.was, self.now = self.each, [f"v{self.turn}"] * len(NAMES)
        self.write(self.now[0])

    def configure(self, more: str = "", *, build: str = 'source = "folder"', settle_s: float = 0.1) -> None:
        """With the name of each as its server."""
        servers = "".join(f'[hosts.{name}.balancer]\nserver = "{name}"\n' for name in NAMES)
        super().configure(f"{more}{servers if '[balancer]' in more else ''}", build=build, settle_s=settle_s)


@contextmanager
def behind_haproxy(sshd: Sshd, base: Path) -> Iterator[tuple[Balanced, HAProxy]]:
    """Three hosts with a release, and a balancer on a host of its own that sees them up."""
    require(missing("haproxy", "haproxy"))
    found = Balanced(base / "shop", base / "srv", sshd.address, sshd.ssh_config)
    found.deploy("v0")
    (base / "balancer").mkdir()
    roots = {name: found.root / name for name in NAMES}
    with serving(roots) as ports, HAProxy(base, ports) as running:
        yield found, running


@pytest.fixture(scope="module")
def site(sshd: Sshd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Balanced, HAProxy]]:
    """One for all tests of this file."""
    with behind_haproxy(sshd, tmp_path_factory.mktemp("balanced")) as found:
        yield found


@pytest.fixture
def haproxy(site: tuple[Balanced, HAProxy]) -> HAProxy:
    """It knows all three, and sees them up."""
    _, running = site
    until(lambda: running.states == UP, what="three servers that are up")
    return running


@pytest.fixture
def fleet(site: tuple[Balanced, HAProxy]) -> Iterator[Balanced]:
    """One release is live on three roots; another is in the project."""
    found, _ = site
    for path in (path for name in NAMES for path in (found.root / name).iterdir()):
        path.unlink() if path.name in ("arrived", "go") else None
    assert len(set(found.each)) == 1
    found.change()
    yield found
    strategy(found, "")


def table(fleet: Balanced, socket: Path, *, backend: str = "web", drain_s: float = 5) -> str:
    """A [balancer] on another host."""
    return (
        f'[balancer]\nkind = "haproxy"\nsocket = "{socket}"\nbackend = "{backend}"\ndrain_s = {drain_s}\n'
        f'host = "{fleet.address}"\nroot = "{fleet.root.parent}/balancer"\n'
    )


ASK = """import socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
line.sendall(b"show stat\\n")
said = b"".join(iter(lambda: line.recv(65536), b"")).decode()
print(*(row.split(",")[17] for row in said.splitlines() if row.startswith("web,")))
"""


def seen(fleet: Balanced, haproxy: HAProxy) -> tuple[str, Path]:
    """A hook that writes down how the balancer sees all of them while one is being switched, and where it does."""
    script, file = fleet.root.parent / "ask.py", fleet.root.parent / "seen"
    script.write_text(ASK)
    file.unlink(missing_ok=True)
    return f"python3 {script} {haproxy.socket} >>{file}", file


def test_rolling_drains_each_while_it_switches(fleet: Balanced, haproxy: HAProxy) -> None:
    """And brings it back before the next one; the plan says so, and nothing is left armed."""
    hook, file = seen(fleet, haproxy)
    strategy(fleet, 'kind = "rolling"', f'[hooks]\nafter_switch = ["{hook}"]\n{table(fleet, haproxy.socket)}')
    plan = fleet.run("plan").out
    order = [line.split()[0] for line in plan.splitlines() if line.startswith("  ")]
    assert order[order.index("arm") : order.index("confirm")] == [
        "arm", "guard", "drain", "drained", "publish", "after_switch", "prove", "undrain", "serving",
        "unguard", "settled",
    ]  # fmt: skip
    assert fleet.run("deploy").code == 0
    assert file.read_text().splitlines() == ["DRAIN UP UP UP", "UP DRAIN UP UP", "UP UP DRAIN UP"]
    assert (fleet.each, haproxy.states) == (fleet.now, UP)
    assert not list((fleet.root.parent / "balancer" / ".switchover" / "armed").iterdir())


RESTART = """cd "$(pwd -P)"
port=$(cat ../../shared/port) pid=$(cat ../../shared/pid 2>/dev/null)
[ -z "$pid" ] || kill "$pid"
sleep 0.7
setsid busybox httpd -f -p "127.0.0.1:$port" -h . </dev/null >/dev/null 2>&1 &
echo $! >../../shared/pid
until busybox wget -q -O /dev/null "http://127.0.0.1:$port/version"; do sleep 0.05; done
"""


@pytest.fixture(scope="module")
def restarted(sshd: Sshd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Balanced, dict[str, int]]]:
    """Three servers that take a release by being stopped and started, and their ports."""
    require(missing("busybox", "busybox"))
    tmp_path = tmp_path_factory.mktemp("restarted")
    found = Balanced(tmp_path / "shop", tmp_path / "srv", sshd.address, sshd.ssh_config)
    (tmp_path / "restart.sh").write_text(RESTART)
    (tmp_path / "balancer").mkdir()
    ports = {name: free_port() for name in NAMES}
    for name, port in ports.items():
        (found.root / name / "shared").mkdir(parents=True)
        (found.root / name / "shared" / "port").write_text(str(port))
    found.configure(restarting(found))
    found.deploy("v0")
    yield found, ports
    for name in NAMES:
        os.kill(int((found.root / name / "shared" / "pid").read_text()), signal.SIGTERM)


def restarting(fleet: Balanced) -> str:
    """A [processes] table."""
    prove = 'readlink "/proc/$(cat ../../shared/pid)/cwd"'
    return f"[processes.web]\nkind = 'command'\nreload = 'sh {fleet.root.parent}/restart.sh'\nprove = '{prove}'\n"


def unnoticed(fleet: Balanced, url: str, *, retries: bool = False) -> Figures:
    """A rolling deploy under load, in which no request may fail; what two clients met that keep their connections."""
    fleet.change()
    load = Load(url, (Client("/version"),) * 2 + (Client("/version", keeps=True, retries=retries),) * 2)
    load.start()
    began = time.monotonic()
    try:
        result = fleet.run("deploy")
        assert (result.code, fleet.each) == (0, fleet.now), result.err
    finally:
        load.stop()
    figures = load.between(began, time.monotonic())
    assert (figures.wrong, figures.examples) == (0, ())
    assert figures.count > 200
    assert len(figures.releases) == 2
    return figures


def test_no_request_fails_though_every_server_is_stopped(restarted: tuple[Balanced, dict[str, int]]) -> None:
    """P4: the drain is real; without it requests meet servers that are down, since nothing is retried."""
    fleet, ports = restarted
    require(missing("haproxy", "haproxy"))
    with HAProxy(fleet.root.parent, ports) as haproxy:
        until(lambda: set(haproxy.states.values()) == {"UP"}, what="three servers that are up")
        strategy(fleet, 'kind = "rolling"', restarting(fleet) + table(fleet, haproxy.socket))
        unnoticed(fleet, haproxy.url)


def test_nor_behind_nginx(restarted: tuple[Balanced, dict[str, int]]) -> None:
    """The same, by an include that is marked and reloaded.

    A reload closes idle connections that clients keep: some request may have to be sent again, as browsers do.
    """
    fleet, ports = restarted
    require(missing("nginx", "nginx-light"))
    (base := fleet.root.parent / "nginx").mkdir()
    with Nginx(base, ports) as nginx:
        more = (
            f"[balancer]\nkind = 'nginx'\ninclude = '{nginx.include}'\ntest = '{nginx.command} -t'\n"
            f"reload = '{nginx.command} -s reload'\nhost = '{fleet.address}'\nroot = '{fleet.root.parent}/balancer'\n"
        )
        servers = "".join(f"[hosts.{name}.balancer]\nserver = '127.0.0.1:{port}'\n" for name, port in ports.items())
        strategy(fleet, 'kind = "rolling"', restarting(fleet) + more)
        toml = fleet.folder / "deploy.toml"
        toml.write_text(toml.read_text().partition("[hosts.one.balancer]")[0] + servers)
        before = nginx.include.read_text()
        figures = unnoticed(fleet, nginx.url, retries=True)
        reloads, keeping = 2 * len(NAMES), 2
        assert figures.retried <= reloads * keeping, figures
        assert nginx.include.read_text() == before


def test_a_broken_release_leaves_every_server_in_rotation(fleet: Balanced, haproxy: HAProxy) -> None:
    """Whoever was switched is drained again while it goes back."""
    broken = f"[hooks]\nafter_switch = ['{FAILS.format('three')}']\n"
    strategy(fleet, 'kind = "rolling"', broken + table(fleet, haproxy.socket))
    result = fleet.run("deploy", "--json")
    assert (result.code, fleet.each) == (12, fleet.was), result.err
    begun = [e["step"] for e in result.events if e["event"] == "step" and e["state"] == "begin"]
    assert [begun.count(f"drain {name}") for name in NAMES] == [2, 2, 1]
    assert haproxy.states == UP


def test_a_deployer_that_dies_leaves_nobody_drained(fleet: Balanced, haproxy: HAProxy) -> None:
    """P2: the balancer's host makes it ready by itself, as the host goes back by itself; until then it is locked."""
    wait = "touch ../../arrived; until [ -e go ]; do sleep 0.1; done"
    strategy(fleet, 'kind = "rolling"', f'[hooks]\nafter_switch = ["{wait}"]\n{table(fleet, haproxy.socket)}')
    process = fleet.start("deploy", "--host", "one")
    until((fleet.root / "one" / "arrived").exists, what="the host in its hook")
    assert haproxy.states["one"] == "DRAIN"
    busy = fleet.run("deploy", "--host", "two")
    told(busy, code=75, says=(f"balancer {fleet.address.partition('@')[2]}:", "is locked by "), hint="--wait")
    os.killpg(process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
    process.communicate()  # type: ignore[attr-defined]
    until(lambda: haproxy.states["one"] == "UP", limit_s=90, what="the server in rotation")
    until(lambda: fleet.each == fleet.was, limit_s=90, what="the old release")
    journal, event = fleet.root.parent / "balancer" / ".switchover" / "journal.jsonl", '"by":"the dead man\'s switch"'
    until(lambda: event in journal.read_text(), what="a word in its journal")
    strategy(fleet, 'kind = "rolling"', table(fleet, haproxy.socket))
    assert fleet.run("deploy").code == 0
    assert fleet.each == fleet.now


def test_a_balancer_that_cannot_do_its_part_stops_a_deploy_before_anything_is_changed(
    fleet: Balanced, haproxy: HAProxy
) -> None:
    """10: one line that says what, and a hint."""
    before = [listing(fleet.root / name) for name in NAMES]
    nowhere = fleet.root.parent / "nowhere.sock"
    strategy(fleet, 'kind = "rolling"', table(fleet, nowhere))
    told(fleet.run("deploy"), code=10, says=("haproxy cannot be reached: there is no ",), hint="balancer.socket")
    strategy(fleet, 'kind = "rolling"', table(fleet, haproxy.socket, backend="wob"))
    told(fleet.run("deploy"), code=10, says=("haproxy has no backend wob",), hint="it has web")
    strategy(fleet, 'kind = "rolling"', table(fleet, haproxy.socket).replace('balancer"\n', 'nothing"\n'))
    told(fleet.run("deploy"), code=10, says=("/nothing does not exist",), hint="install -d")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(nowhere))
    strategy(fleet, 'kind = "rolling"', table(fleet, nowhere))
    told(fleet.run("deploy"), code=10, says=("haproxy cannot be reached: Connection refused",), hint="is haproxy up")
    assert [listing(fleet.root / name) for name in NAMES] == before
    assert fleet.run("status").code == 0


def test_commands_of_the_team_bring_back_whoever_a_dead_deploy_has_left_out(fleet: Balanced) -> None:
    """P2: the next deploy does, before anything else; until then status says it."""
    said = fleet.root.parent / "said"
    more = f"[balancer]\nkind = 'command'\ndrain = 'echo out $SERVER >>{said}'\nundrain = 'echo in $SERVER >>{said}'\n"
    wait = "touch ../../arrived; until [ -e go ]; do sleep 0.1; done"
    strategy(fleet, 'kind = "rolling"', f'[hooks]\nafter_switch = ["{wait}"]\n{more}')
    process = fleet.start("deploy")
    until((fleet.root / "one" / "arrived").exists, what="the first host in its hook")
    os.killpg(process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
    process.communicate()  # type: ignore[attr-defined]
    until(lambda: fleet.each == fleet.was, limit_s=90, what="the old release")
    assert said.read_text().split() == ["out", "one"]
    assert "out of rotation since deploy " in fleet.run("status").out
    strategy(fleet, 'kind = "rolling"', more)
    assert fleet.run("deploy").code == 0
    words = said.read_text().split("\n")[:-1]
    assert words == ["out one", "in one", *(f"{how} {name}" for name in NAMES for how in ("out", "in"))]
    assert "out of rotation" not in fleet.run("status").out


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_brings_everybody_back(fleet: Balanced, haproxy: HAProxy, times: int) -> None:
    """Once: the step that runs is finished first; twice: at once."""
    wait = "touch ../../arrived; until [ -e ../../go ]; do sleep 0.05; done"
    strategy(fleet, 'kind = "rolling"', f'[hooks]\nafter_switch = ["{wait}"]\n{table(fleet, haproxy.socket)}')
    process = fleet.start("deploy")
    until((fleet.root / "one" / "arrived").exists, what="the first host in its hook")
    assert haproxy.states["one"] == "DRAIN"
    said = b""
    for turn in range(times):
        os.kill(process.pid, signal.SIGINT)  # type: ignore[attr-defined]
        while turn == 0 and "interrupted: " not in said.decode():
            said += os.read(process.stderr.fileno(), 4096)  # type: ignore[attr-defined]
    (fleet.root / "one" / "go").touch()
    _, err = process.communicate(timeout=120)  # type: ignore[attr-defined]
    assert process.returncode == 12, err  # type: ignore[attr-defined]
    assert (fleet.each, haproxy.states) == (fleet.was, UP)


@pytest.mark.parametrize("whose", ["host", "balancer"])
def test_a_line_that_is_cut_leaves_nobody_out(sshd: Sshd, fleet: Balanced, haproxy: HAProxy, whose: str) -> None:
    """P12: that of the drained host, or that of the balancer: we look again, and everybody is back."""
    wait = "touch ../../arrived; until [ -e ../../go ]; do sleep 0.05; done"
    with sshd.line() as line:
        shutil.copy(sshd.ssh_config, fleet.home / ".ssh" / "config")
        text = f'[hooks]\nafter_switch = ["{wait}"]\n{table(fleet, haproxy.socket)}'
        strategy(fleet, 'kind = "rolling"', text)
        toml, cut = fleet.folder / "deploy.toml", 'ssh = ["' if whose == "host" else 'host = "'
        toml.write_text(toml.read_text().replace(f"{cut}{fleet.address}", f"{cut}{line.address}", 1))
        process = fleet.start("deploy", "--host", "one,two,three")
        until((fleet.root / "one" / "arrived").exists, what="the first host in its hook")
        assert haproxy.states["one"] == "DRAIN"
        line.cut()
        (fleet.root / "one" / "go").touch()
        _, err = process.communicate(timeout=120)  # type: ignore[attr-defined]
    assert process.returncode == 12, err  # type: ignore[attr-defined]
    assert (fleet.each, haproxy.states) == (fleet.was, UP)
    assert not list((fleet.root.parent / "balancer" / ".switchover" / "armed").iterdir())
