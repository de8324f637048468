"""Every step of a deploy and of a rollback, interrupted: nothing of ours must be needed to make it good again."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from releases import deploy, rollback
from releases.plan import Phase, Plan, Step
from releases.scripts import render
from tests.app import App, Result, until
from tests.conftest import require
from tests.gate import Gate
from tests.hosts import ANA, A, B, C, D, config, host, live, manifest
from tests.sshd import Line, Sshd

pytestmark = pytest.mark.journey

# A site with everything that has a step: a shared file and directory, a command of each sort, and a process.
MORE = """
[shared]
files = [".env"]
dirs = ["media"]
[prepare]
commands = ["cp version prepared"]
[migrations]
kind = "command"
pending = "grep -qx $(cat version) ../../shared/schema || echo expand $(cat version)"
expand = "cat version >>../../shared/schema"
[processes.web]
kind = "command"
rehearse = "test -f last"
reload = "sh reload"
prove = "readlink /proc/$(cat ../../shared/pid)/cwd"
[hooks]
before_switch = ["ls"]
after_switch = ["ls"]
[keep]
releases = 3
"""
# The number in the file may be a stranger's by now: a reload may have been cut short behind its kill.
RELOAD = """\
root=$(cd -P ../.. && pwd -P)
old=$(cat ../../shared/pid 2>/dev/null)
case $(readlink "/proc/${old:-none}/cwd") in "$root/releases/"*) kill "$old" ;; esac
setsid sh -c 'echo $$ >../../shared/new; mv ../../shared/new ../../shared/pid; exec sleep 72h' >/dev/null 2>&1 &
until [ "$(cat ../../shared/pid 2>/dev/null)" != "$old" ]; do sleep 0.02; done
"""
KNOWN = {"app", "journal.jsonl", "manifests", "lock", "lock.info", "armed", "confirmed", "pins", "rehearsal.log"}


def planned(verb: str) -> Plan:
    """The plan, by the same pure code and deploy.toml; that it is the same, one test compares."""
    settings = config(**tomllib.loads(MORE))
    found = host(C, complete=[A, B, C], journal=[live(1, A), live(2, B, A), live(3, C, B)], settings=settings)
    if verb == "rollback":
        return rollback.rollback((found,), ANA)
    return deploy.deploy((found,), deploy.Shipment(D, manifest("version"), bases={"web1": manifest("last")}), ANA)


PLANS = {verb: planned(verb).steps["web1"] for verb in ("deploy", "rollback")}
STEPS = [(verb, step.label) for verb, steps in PLANS.items() for step in steps]
each = pytest.mark.parametrize(("verb", "step"), STEPS)


class Shop(App):
    """The site, of which every release says its version first and last."""

    def write(self, version: str) -> None:
        """The version is a line in two files: a release is complete when both say the same."""
        for name in ("version", "last"):
            (self.folder / name).write_text(f"{version}\n")
        (self.folder / "reload").write_text(RELOAD)

    @property
    def live(self) -> str:
        """Without the end of its line."""
        return super().live.strip()

    @property
    def daemon(self) -> int:
        """The process of the site."""
        try:
            return int((self.root / "shared" / "pid").read_text())
        except FileNotFoundError:
            return 0

    @property
    def runs(self) -> str:
        """The release that the process runs in."""
        try:
            return os.readlink(f"/proc/{self.daemon}/cwd")
        except FileNotFoundError:
            return ""

    @property
    def locked(self) -> bool:
        """Does anybody hold the lock?"""
        with (self.root / ".switchover" / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def inside(self, name: str) -> list[str]:
        """What lies in a directory of .switchover."""
        path = self.root / ".switchover" / name
        return sorted(p.name for p in path.iterdir()) if path.is_dir() else []

    def events(self, number: int) -> list[str]:
        """What the journal says of one deploy."""
        return [e["event"] for e in self.journal if e.get("deploy") == number and e["event"] != "step"]


@dataclass
class Client:
    """A command that runs, and what it has said so far."""

    process: subprocess.Popen[str]
    said: str = ""
    let: str = ""  # the step that arrived last
    events: list[dict[str, Any]] = field(default_factory=list)

    def read(self) -> None:
        """Take what it has written by now; each step is told before its script is sent."""
        assert self.process.stdout
        os.set_blocking(self.process.stdout.fileno(), False)
        try:
            while data := os.read(self.process.stdout.fileno(), 65536):
                self.said += data.decode()
        except BlockingIOError:
            pass
        *lines, self.said = self.said.split("\n")
        self.events += [json.loads(line) for line in lines]

    @property
    def step(self) -> str:
        """The step that it is at."""
        self.read()
        begun = [e["step"] for e in self.events if e["event"] == "step" and e["state"] == "begin"]
        return begun[-1] if begun else ""

    def kill(self) -> None:
        """As the kernel does when memory is short."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def end(self, limit_s: float = 180) -> Result:
        """Wait for its end."""
        assert self.process.stdout
        os.set_blocking(self.process.stdout.fileno(), True)
        out, err = self.process.communicate(timeout=limit_s)
        self.events += [json.loads(line) for line in (self.said + out).splitlines()]
        return Result(self.process.returncode, "", err)


class Watch:
    """Looks at ``current`` all the time (P1)."""

    def __init__(self, root: Path) -> None:
        self.current, self.wrong, self.seen = root / "current", [], 0  # type: ignore[var-annotated]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.005):
            try:
                directory = os.open(self.current, os.O_RDONLY | os.O_DIRECTORY)
                found = {_read(directory, name) for name in ("version", "last", "prepared")}
                os.close(directory)
                if len(found) > 1:
                    self.wrong.append(str(found))
            except OSError as error:
                self.wrong.append(str(error))
            self.seen += 1


def _read(directory: int, name: str) -> str:
    with open(os.open(name, os.O_RDONLY, dir_fd=directory)) as file:
        return file.read()


@dataclass
class Stage:
    """One host for all tests of the module, whose tools wait when they are told to."""

    sshd: Sshd
    gate: Gate
    line: Line
    prototype: Path
    calls: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def client(self, shop: Shop, *words: str) -> Client:
        """Start a command, whose steps wait to be let in."""
        self.gate.reset()
        self.gate.close()
        return Client(shop.start(*words, "--json"))

    def reach(self, client: Client, step: str) -> int:
        """Let all steps pass up to *step*, which waits; returns its pid."""
        while True:
            kind, pid = self.gate.arrived()
            assert kind, f"{step} never came: {client.end()} {client.events}"
            if self.told(client) == step:
                return pid
            self.gate.let()

    def told(self, client: Client) -> str:
        """The step that has arrived: the client says so a moment later, where it sent more than one at once."""
        end = time.monotonic() + 1.0
        while client.step and client.step == client.let and time.monotonic() < end:
            time.sleep(0.01)
        client.let = client.step
        return client.let

    def block(self, client: Client, step: str, call: int | str) -> int:
        """Let *step* begin, and block it at a call of a tool, by number or name; returns the pid of that."""
        self.reach(client, step)
        self.gate.count(call)
        (self.gate.state / "closed").unlink()
        self.gate.let()
        kind, pid = self.gate.arrived(limit_s=60)
        assert kind == "call", f"{step} called fewer than {call} tools: {self.gate.calls}"
        return pid

    def drain(self, pid: int) -> None:
        """Let what is blocked go on if it does not end with its session: it unpacks a stream, or waits for the lock."""
        end = time.monotonic() + 1.5
        while Path(f"/proc/{pid}").exists():
            if time.monotonic() > end:
                self.gate.let()
                return
            time.sleep(0.02)

    def middle(self, verb: str, step: str) -> int:
        """The number of the call in the middle of *step*."""
        return (len(self.calls[verb, step]) + 1) // 2


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The host, a root with three proven releases, and which tools each step calls, learned from two whole plans."""
    require(Sshd.missing())
    home = tmp_path_factory.mktemp("stage")
    gate = Gate(home / "gate")
    with Sshd(force_shell="sh", environment={"PATH": str(gate.bin)}) as sshd, sshd.line() as line:
        found = Stage(sshd, gate, line, home / "prototype")
        shop = _shop(home, sshd, sshd.address)
        for version in ("v1", "v2", "v3"):
            shop.deploy(version)
        shutil.copytree(shop.root, found.prototype, symlinks=True)
        shop.write("v4")
        for verb in PLANS:
            client, last = found.client(shop, verb), ""
            while client.process.poll() is None:
                if gate.arrived(limit_s=0.5)[0]:
                    if last:
                        found.calls.setdefault((verb, last), gate.calls)
                    last = found.told(client)
                    gate.count()
                    gate.let()
            found.calls.setdefault((verb, last), gate.calls)
            assert client.end().code == 0, client.events[-3:]
        gate.reset()
        _end(shop)
        yield found


def _shop(home: Path, sshd: Sshd, address: str) -> Shop:
    shop = Shop(home / "shop", home / "srv", address, sshd.ssh_config)
    shop.configure(MORE, settle_s=0.05)
    (shop.root / "shared").mkdir(exist_ok=True)
    (shop.root / "shared" / ".env").write_text("A=1\n")
    (shop.root / "shared" / "schema").touch()
    return shop


def _end(shop: Shop) -> None:
    if shop.runs.startswith(f"{shop.root.resolve()}/releases/"):  # not a stranger that has its number by now
        os.kill(shop.daemon, signal.SIGKILL)


@pytest.fixture
def shop(stage: Stage, tmp_path: Path) -> Iterator[Shop]:
    """v1, v2 and v3 proven on a root of its own, v3 live, v4 to be deployed over the line."""
    stage.gate.reset()
    stage.line.pass_()
    shutil.copytree(stage.prototype, tmp_path / "srv", symlinks=True)
    shop = _shop(tmp_path, stage.sshd, stage.line.address)
    (shop.root / "shared" / "pid").unlink()
    subprocess.run(["sh", "reload"], cwd=shop.root / "current", check=True)
    shop.write("v4")
    yield shop
    stage.gate.reset()
    _end(shop)


ENDS = ("live", "reverted", "failed")
NUMBER = 4  # of the deploy that is interrupted
OLD = "v3"
NEW = {"deploy": "v4", "rollback": "v2"}


def settled(shop: Shop) -> bool:
    """Has the host done all it does by itself?"""
    return not shop.locked and not [name for name in shop.inside("armed") if not name.endswith(".new")]


def mended(stage: Stage, shop: Shop, verb: str, *, confirmed: bool | None) -> None:
    """Let the host see to itself, and hold it to the promises; *confirmed*: had it been? None: ask the journal."""
    began = time.monotonic()
    stage.gate.open()
    until(lambda: not shop.locked, what="the lock")
    until(lambda: settled(shop) and not left(stage, shop), what="the end of the dead man's switch")
    said = shop.events(NUMBER)
    if confirmed is None:
        confirmed = "live" in said or bool(shop.inside("confirmed"))
    assert shop.live == (NEW[verb] if confirmed else OLD), (said, time.monotonic() - began)
    assert shop.runs == str((shop.root / "current").resolve())
    truthful(shop, verb, said)
    again(stage, shop, verb, confirmed=confirmed)
    tidy(stage, shop)


def truthful(shop: Shop, verb: str, said: list[str]) -> None:
    """`status` names what is live, and what became of the last deploy."""
    result = shop.run("status", "--json")
    assert result.code == 0, result.err
    (row,) = next(e["hosts"] for e in result.events if e["event"] == "answer")
    assert row["live"] == (shop.root / "current").resolve().name
    if "reverted" in said:
        assert row["note"] == f"{verb} {NUMBER} was taken back"
    elif "failed" in said:
        assert row["note"].startswith(f"{verb} {NUMBER} failed: ")
    elif "deploy" in said and "live" not in said and not shop.inside("confirmed"):
        assert row["note"].startswith(f"{verb} {NUMBER} of ")
        assert "was interrupted" in row["note"]
    else:
        assert row["note"] == ""


def again(stage: Stage, shop: Shop, verb: str, *, confirmed: bool) -> None:
    """The next plain command succeeds; after a whole deploy that is another one, after a whole rollback one further."""
    if confirmed:
        shop.write("v5")
    result = shop.run(verb)
    assert result.code == 0, result.err
    assert shop.live == {"deploy": "v5" if confirmed else "v4", "rollback": "v1" if confirmed else "v2"}[verb]


def tidy(stage: Stage, shop: Shop) -> None:
    """Nothing is left that the journal does not know."""
    known = {event.get("release") for event in shop.journal}
    manifests = {name.removesuffix(".gz") for name in shop.inside("manifests")}
    assert set(shop.releases) == manifests
    assert manifests <= known
    assert list(shop.root.glob("current.*")) == []
    assert (shop.inside("armed"), shop.inside("confirmed")) == ([], [])
    assert set(shop.inside(".")) <= KNOWN
    until(lambda: not left(stage, shop), what=f"the end of {left(stage, shop)}")


def left(stage: Stage, shop: Shop) -> list[str]:
    """The processes that sessions left, but for the one of the site."""
    found = []
    for pid in stage.sshd.processes():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
        except OSError:
            continue
        if pid != shop.daemon and command:
            found.append(f"{pid} {command}")
    return found


def test_the_steps_that_are_interrupted_are_those_of_the_plan(shop: Shop) -> None:
    """So that a new step is covered without anybody remembering."""
    for verb, steps in PLANS.items():
        (answer,) = (e for e in shop.run(verb, "--dry-run", "--json").events if e["event"] == "answer")
        assert [step["step"] for step in answer["steps"]] == [step.label for step in steps]


def confirms(verb: str, step: str, *, inside: bool) -> bool | None:
    """Is the switch confirmed when *step* is interrupted? None: it is just about to be."""
    phase = next(s.phase for s in PLANS[verb] if s.label == step)
    if phase is Phase.CONFIRM:
        return None if inside else False
    return phase > Phase.CONFIRM


@each
def test_a_client_killed_before_a_step(stage: Stage, shop: Shop, verb: str, step: str) -> None:
    """P1, P2, P5: it was stopped while the step before that ran, and is killed once that has ended."""
    with Watch(shop.root) as watch:
        client = stage.client(shop, verb)
        labels = [s.label for s in PLANS[verb]]
        before = labels[: labels.index(step)]
        pid = stage.reach(client, before[-1]) if before else stage.gate.arrived()[1]
        os.killpg(client.process.pid, signal.SIGSTOP)
        (stage.gate.state / "closed").unlink()
        stage.gate.let()
        until(lambda: not Path(f"/proc/{pid}").exists(), what="the end of the step before")
        client.kill()
        mended(stage, shop, verb, confirmed=confirms(verb, step, inside=False))
    assert watch.wrong == []


@each
def test_a_client_killed_in_the_middle_of_a_step(stage: Stage, shop: Shop, verb: str, step: str) -> None:
    """P1, P2, P5: at the call of a tool that is the middle one of those that the step calls."""
    with Watch(shop.root) as watch:
        client = stage.client(shop, verb)
        pid = stage.block(client, step, stage.middle(verb, step))
        client.kill()
        stage.drain(pid)
        mended(stage, shop, verb, confirmed=confirms(verb, step, inside=True))
    assert watch.wrong == []


@each
def test_the_line_is_cut_in_the_middle_of_a_step(stage: Stage, shop: Shop, verb: str, step: str) -> None:
    """P12: the client says so, looks, and reports what is true."""
    with Watch(shop.root) as watch:
        client = stage.client(shop, verb)
        pid = stage.block(client, step, stage.middle(verb, step))
        stage.line.cut()
        stage.drain(pid)
        result = client.end()
        said = shop.events(NUMBER)
        code = 0 if "live" in said else 12 if "reverted" in said else 11
        assert (result.code, client.events[-1]["exit"]) == (code, code), client.events[-4:]
        phase = next(s.phase for s in PLANS[verb] if s.label == step)
        assert code in {Phase.SWITCH: (11, 12), Phase.CONFIRM: (0, 12), Phase.AFTER: (0,)}.get(phase, (11,))
        if code:
            assert f"the line dropped during {step}" in client.events[-1]["why"]
            assert any("to see what is true" in e.get("line", "") for e in client.events)
        mended(stage, shop, verb, confirmed=confirms(verb, step, inside=True))
    assert watch.wrong == []


def _came(gate: Gate, waits: list[int]) -> bool:
    """Has a call arrived? Its pid is added to those that wait."""
    kind, pid = gate.arrived(limit_s=0.02)
    waits += [pid] if kind else []
    return bool(kind)


def test_a_takeback_is_cut_short_at_each_of_its_calls(stage: Stage, shop: Shop, tmp_path: Path) -> None:
    """P2: by whom it was begun; whoever comes next ends it, and never finds half of an arm."""
    client = stage.client(shop, "deploy")
    stage.block(client, "settled", 1)
    whole = shop.inside("armed/4")
    os.kill(int((shop.root / ".switchover" / "armed" / "4" / "pid").read_text()), signal.SIGKILL)
    client.kill()
    until(lambda: not shop.locked, what="the lock")
    shutil.copytree(shop.root / ".switchover", tmp_path / "before")
    waiter = ["sh", "-c", render(Step("waiter", {"root": shop.root}, ""))]
    environment = {**os.environ, "PATH": str(stage.gate.bin)}
    for call in range(1, 200):
        shutil.rmtree(shop.root / ".switchover")
        shutil.copytree(tmp_path / "before", shop.root / ".switchover")
        (shop.root / "next").symlink_to(f"releases/{shop.releases[-1]}")
        (shop.root / "next").rename(shop.root / "current")
        stage.gate.reset()
        stage.gate.count(call)
        cut = subprocess.Popen(waiter, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
        waits = list[int]()
        until(lambda c=cut, w=waits: c.poll() is not None or _came(stage.gate, w), what="the call")  # type: ignore[misc]
        ended = cut.poll() is not None
        if not ended:
            os.killpg(cut.pid, signal.SIGKILL)
            cut.wait()
        for pid in waits:  # in a session of its own it would go on waiting, and take what a later test lets in
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        stage.gate.reset()
        assert shop.inside("armed/4") in ([], whole), call
        subprocess.run(waiter, check=True, env=environment, stderr=subprocess.DEVNULL)
        assert (shop.live, shop.runs) == (OLD, str((shop.root / "current").resolve())), call
        assert shop.inside("armed") == [], call
        assert "reverted" in shop.events(NUMBER), call
        if ended:
            break
    assert call > 10
    mended(stage, shop, "deploy", confirmed=False)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("step", "code", "outcome"), [("stage", 11, "unchanged"), ("prove", 12, "reverted")])
def test_a_client_that_is_asked_to_end(stage: Stage, shop: Shop, sign: int, step: str, code: int, outcome: str) -> None:
    """Ctrl-C, or the end of the CI job: before the switch at once, from then on once the step has ended."""
    client = stage.client(shop, "deploy")
    stage.block(client, step, stage.middle("deploy", step))
    os.kill(client.process.pid, sign)
    if outcome == "reverted":
        until(lambda: client.step and any("interrupted" in e.get("line", "") for e in client.events), what="a word")
        stage.gate.let()
    result = client.end()
    last = client.events[-1]
    assert (result.code, last["outcome"], last["exit"]) == (code, outcome, code), json.dumps(client.events[-9:])
    assert "interrupted" in last["why"]
    mended(stage, shop, "deploy", confirmed=False)


def test_a_client_that_is_asked_to_end_before_it_has_the_lock(shop: Shop, stage: Stage) -> None:
    """With --json the last line is an outcome, then, too."""
    client = stage.client(shop, "deploy")
    stage.gate.arrived()
    os.kill(client.process.pid, signal.SIGINT)
    assert client.end().code == 11
    assert client.events[-1]["outcome"] == "unchanged"
    stage.gate.reset()
    mended(stage, shop, "deploy", confirmed=False)


@pytest.mark.parametrize(("step", "code"), [("prepare", 11), ("after_switch", 12)])
@pytest.mark.parametrize("what", ["command", "step", "session"])
def test_a_shell_on_the_host_is_killed(stage: Stage, shop: Shop, step: str, code: int, what: str) -> None:
    """P12: a command or a step that dies has failed; a session that dies is missed by the step after this one."""
    client = stage.client(shop, "deploy")
    pid = stage.block(client, step, "cp" if step == "prepare" else "ls")
    if what == "step":
        while _name(_parent(pid)) != "timeout":
            pid = _parent(pid)
    if what == "session":
        pid = json.loads((shop.root / ".switchover" / "lock.info").read_text())["pid"]
    os.kill(pid, signal.SIGKILL)
    if what == "session":
        assert shop.locked
        stage.gate.let()
    assert client.end().code == code, client.events[-3:]
    mended(stage, shop, "deploy", confirmed=False)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def test_two_deploys_race(stage: Stage, tmp_path: Path) -> None:
    """P5: ten times, exactly one wins; it is held in its prepare until the other has been told."""
    one = Shop(tmp_path / "one" / "shop", tmp_path / "srv", stage.sshd.address, stage.sshd.ssh_config)
    two = Shop(tmp_path / "two" / "shop", tmp_path / "srv", stage.sshd.address, stage.sshd.ssh_config)
    for shop in (one, two):
        shop.configure(f'[prepare]\ncommands = ["until [ -e {tmp_path}/go ]; do sleep 0.01; done"]\n')
    for turn in range(10):
        (tmp_path / "go").unlink(missing_ok=True)
        one.write(f"one {turn}")
        two.write(f"two {turn}")
        racing = [(shop, shop.start("deploy")) for shop in (one, two)]
        until(lambda racing=racing: any(p.poll() is not None for _, p in racing), what="the loser")
        (tmp_path / "go").touch()
        for _, process in racing:
            process.communicate(timeout=30)
        assert sorted(p.returncode for _, p in racing) == [0, 75]
        winner = next(shop for shop, p in racing if p.returncode == 0)
        assert one.live == (winner.folder / "version").read_text().strip()
        assert [e["event"] for e in one.journal if e.get("deploy") == turn + 1 and e["event"] in ENDS] == ["live"]


def test_a_client_that_hangs_is_unlocked(stage: Stage, shop: Shop) -> None:
    """`unlock` names it, ends it only with a yes, and settles its arm; when it wakes, it says that it lost."""
    client = stage.client(shop, "deploy")
    stage.block(client, "settled", 1)
    os.killpg(client.process.pid, signal.SIGSTOP)
    asked = shop.run("unlock")
    assert asked.code == 10
    assert "is locked by" in asked.out
    assert shop.locked
    assert shop.live == "v4"
    told = shop.run("unlock", "--yes")
    assert told.code == 0, told.err
    assert not shop.locked
    assert (shop.live, shop.inside("armed")) == (OLD, [])
    os.killpg(client.process.pid, signal.SIGCONT)
    assert client.end().code == 12, client.events[-3:]
    why = client.events[-1]["why"]
    assert ("has ended our session with `inv unlock` during settled" in why, "unknown" in why) == (True, False), why
    mended(stage, shop, "deploy", confirmed=False)


def test_a_silent_line_is_noticed_and_the_host_frees_its_lock(tmp_path: Path) -> None:
    """P2, P5, P12: by the client within 30 s, which cannot know how it ended; by the host after its 60 s."""
    require(Sshd.missing())
    with Sshd() as sshd, sshd.line() as line:
        app = App(tmp_path / "shop", tmp_path / "srv", line.address, sshd.ssh_config)
        app.deploy("v1")
        app.configure('[hooks]\nafter_switch = ["sleep 600"]\n')
        app.write("v2")
        process = app.start("deploy")
        until(lambda: any(e.get("step") == "after_switch" for e in app.journal), what="after_switch")
        line.swallow()
        began = time.monotonic()
        assert process.stderr
        assert any("reconnecting" in said for said in process.stderr), "it never noticed"
        assert time.monotonic() - began < 30
        assert app.live == "v2"
        until(lambda: app.live == "v1", limit_s=70, what="the old release")
        assert 30 < time.monotonic() - began < 75
        _, said = process.communicate(timeout=120)
        assert process.returncode == 14, said
        assert "not a sign of life" in said
        assert "`inv status` asks the host what is true" in said
        line.pass_()
        assert "was taken back" in app.run("status").out
        app.configure()
        assert app.run("deploy").code == 0
