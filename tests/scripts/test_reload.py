"""reload of gunicorn: whom it signals, what it leaves for the proof, and when it leaves a server alone."""

import os
import shlex
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from releases import proofs, steps
from releases.facts import Facts
from releases.plan import Step
from releases.processes.gunicorn import Gunicorn
from releases.processes.kind import Switch
from releases.processes.kinds import kinds
from releases.setup import setup
from tests.app import until
from tests.conftest import require
from tests.hosts import config
from tests.scripts.running import SHELLS, A, B, Here, Ran

# As gunicorn does: a worker of its own in what `current` leads to, another one after each HUP. It notes its signals.
MASTER = """\
import os, signal, sys
from pathlib import Path
current, notes = sys.argv[1], Path(sys.argv[2])
known = (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM)
signal.pthread_sigmask(signal.SIG_BLOCK, known)
def born():
    worker = os.fork()
    if not worker:
        os.chdir(current)
        while True:
            signal.pause()
    return worker
worker = born()
notes.write_text("")
while True:
    number = signal.sigwait(known)
    with notes.open("a") as file:
        print(signal.Signals(number).name, file=file)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    if number == signal.SIGTERM:
        sys.exit()
    worker = born()
"""


@dataclass
class Server:
    """A master and its worker on a host; *pid* is the master's."""

    here: Here
    kind: Gunicorn
    pid: int = 0

    @property
    def notes(self) -> Path:
        """Where it writes which signals it got."""
        return self.here.base / "notes"

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        program = self.here.base / "gunicorn"
        program.write_text(MASTER)
        self.pid = self.here.start(sys.executable, str(program), f"{self.here.root}/current", str(self.notes)).pid
        (self.here.root / "shared" / "web.pid").write_text(f"{self.pid}\n")
        until(self.notes.exists, what="the master")
        self.settle()

    def settle(self) -> list[str]:
        """Its worker is where it will work; which signals it got, each of them for the first time since."""
        before = self.signals()
        os.kill(self.pid, signal.SIGUSR1)  # behind every HUP that was sent before
        until(lambda: self.signals()[len(before) :].count("SIGUSR1"), what="its note")
        until(lambda: self.worker_in(os.path.realpath(self.here.root / "current")), what="its worker")
        return [name for name in self.signals() if name != "SIGUSR1"]

    def signals(self) -> list[str]:
        return self.notes.read_text().split()

    def worker_in(self, directory: str) -> bool:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        try:
            return [os.readlink(f"/proc/{child}/cwd") for child in children] == [directory]
        except FileNotFoundError:  # it has just ended
            return False

    def forth(self, number: int = 7) -> Ran:
        """The reload of a deploy of B over A."""
        return self.here.run(self.kind.after(Switch(self.kind.root, number, B, A), self.facts)[0])

    def back(self, number: int = 7) -> Ran:
        """What takes it back."""
        step = self.kind.after(Switch(self.kind.root, number, B, A), self.facts)[0].undo
        assert step
        return self.here.run(step)

    def survey(self) -> Ran:
        """What a survey says of it."""
        return self.here.run(steps.survey(self.settings, (self.kind,)))

    @property
    def program(self) -> str:
        """The command line of another master."""
        return f"{sys.executable} {self.here.base}/gunicorn {self.here.root}/current {self.notes}"

    def replacing(self, kind: Gunicorn) -> Step:
        """The reload that replaces the master by what *kind* starts."""
        return kind.after(Switch(kind.root, 7, B, A, replaced=True), self.facts)[0]

    def renew(self, kind: Gunicorn) -> Ran:
        """Replace the master so."""
        return self.here.run(self.replacing(kind))

    def boot(self, kind: Gunicorn, word: str) -> tuple[int, str]:
        """Run what setup installs, as a crontab does with *word*: its exit code, and what it said."""
        settings = config(root=self.here.layout.root, processes={"web": kind.settings})
        script = str(setup(settings, self.facts).values["boot"])
        process = self.here.start(self.here.sh, "-c", script, "boot", *word.split())
        err = process.communicate(timeout=60)[1]
        return process.returncode, err.decode()

    def starting(self, start: str, **more: object) -> Gunicorn:
        """The same process with this `start`."""
        web = {**PROCESSES["web"], "start": start, **more}
        (kind,) = kinds(config(root=self.here.layout.root, processes={"web": web}))
        assert isinstance(kind, Gunicorn)
        return kind

    @property
    def facts(self) -> Facts:
        """The same, read."""
        return Facts.of("web1", self.survey().answer, now=proofs.EPOCH)

    @property
    def settings(self):  # type: ignore[no-untyped-def]
        return config(root=self.here.layout.root, processes=PROCESSES)


PROCESSES = {"web": {"kind": "gunicorn", "pidfile": "shared/web.pid", "start": "touch started", "drain_s": 20}}


@pytest.fixture(params=SHELLS)
def server(request: pytest.FixtureRequest, tmp_path: Path):  # type: ignore[no-untyped-def]
    """A host where it runs release A."""
    require(Here.missing(request.param))
    here = Here(request.param, tmp_path)
    for release in (A, B):
        here.release(release)
    here.publish(A)
    (kind,) = kinds(config(root=here.layout.root, processes=PROCESSES))
    assert isinstance(kind, Gunicorn)
    found = Server(here, kind)
    found.start()
    yield found
    here.end()


def test_what_this_deploy_never_reached_is_not_reloaded_when_it_is_taken_back(server: Server) -> None:
    """It runs the right release: a HUP would be a pause for nothing, a restart a gap."""
    for number in (6, 7):
        server.here.publish(B)
        server.here.publish(A)
        assert server.back(number).code == 0
        assert server.settle() == []
    assert server.forth(5).code == 0
    assert server.back(7).code == 0
    assert server.settle() == ["SIGHUP"]


def test_what_was_reached_goes_back_as_often_as_it_is_told(server: Server) -> None:
    """The first attempt may have been cut short."""
    server.here.publish(B)
    assert server.forth().code == 0
    server.here.publish(A)
    for _ in range(2):
        assert server.back().code == 0
        server.settle()
    assert server.settle() == ["SIGHUP"] * 3


def test_a_worker_that_was_born_in_what_is_left_goes_back(server: Server) -> None:
    """Between the rename and its end: no HUP made it, but it runs the new code."""
    server.here.publish(B)
    server.settle()
    server.here.publish(A)
    assert server.back().code == 0
    assert server.settle() == ["SIGHUP"]


def test_a_full_disk_keeps_no_takeback_from_its_reload(server: Server) -> None:
    """P2. A reload that could leave no mark is not made, and has nothing to be taken back."""
    server.here.publish(B)
    assert server.forth().code == 0
    (server.here.private / "mark.web.new").mkdir()  # what cannot be written
    server.here.publish(A)
    assert server.back().code == 0
    assert server.settle() == ["SIGHUP"] * 2
    ran = server.forth(8)
    assert (ran.code, "cannot write" in ran.err) == (73, True)
    assert server.settle() == ["SIGHUP"] * 2


def test_a_mark_says_nothing_after_a_reboot(server: Server) -> None:
    """Its clock begins anew, and all workers would be older than the reload."""
    assert server.forth().code == 0
    assert int(server.survey().answer.one("web.mark")) > 0
    mark = server.here.private / "mark.web"
    ticks, boot, number = mark.read_text().split()
    mark.write_text(f"{ticks} {boot[::-1]} {number}\n")
    assert server.survey().answer.all("web.mark") == ()


def test_a_survey_tells_the_root_as_the_file_system_has_it(server: Server) -> None:
    """A start that names it is unsafe, too."""
    link = server.here.base / "link"
    link.symlink_to(server.here.root)
    settings = config(root=link, processes=PROCESSES)
    ran = server.here.run(steps.survey(settings, kinds(settings)))
    assert ran.answer.one("web.root") == str(server.here.root)


def test_what_runs_on_after_its_drain_is_ended_before_the_new_one_starts(server: Server) -> None:
    """An environment that has changed needs a new master."""
    kind = server.starting(f'grep -q SIGTERM "{server.notes}" && {server.program} & echo $! >shared/web.pid')
    ran = server.renew(kind)
    assert (ran.code, ran.err) == (0, "")
    assert int((server.here.root / "shared" / "web.pid").read_text()) != server.pid


def test_what_has_ended_and_whom_nobody_has_buried_is_down(server: Server) -> None:
    """A container may have no init that does; it is no stranger, and nobody signals it."""
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{server.pid}/cmdline").read_bytes(), what="its end")
    told = server.survey().answer
    assert (told.one("web.master"), told.all("web.stranger")) == ("0", ())
    (server.here.root / "shared" / "web.pid").write_text("2\n")
    if os.path.exists("/proc/2") and not Path("/proc/2/cmdline").read_bytes():
        assert server.survey().answer.one("web.stranger").endswith("web.pid names pid 2, which is [kthreadd]")


def test_a_start_that_does_not_return_is_told_and_ended(server: Server) -> None:
    """Unless its master is there: then it serves, and a takeback has whom to reload."""
    ran = server.renew(server.starting(f"echo booting; sleep 987; : {server.here.root}", start_s=1))
    assert ran.code == 70
    assert "  | booting\n" in ran.err
    last = ran.err.splitlines()[-1]
    assert last.startswith("start web: `start` has not returned within 1 s: it must leave gunicorn in the background")
    until(lambda: not server.here.processes(), what="its end")
    ran = server.renew(server.starting(f"echo $$ >shared/web.pid; exec {server.program}", start_s=1))
    assert (ran.code, "has not returned" in ran.err) == (70, True)
    assert server.survey().answer.one("web.master") == (server.here.root / "shared" / "web.pid").read_text().strip()


def test_what_serves_in_the_foreground_has_been_taken_back(server: Server) -> None:
    """Or a start that does not return would hold up the way back, too, and what serves be called down."""
    back = server.replacing(server.starting(f"echo $$ >shared/web.pid; exec {server.program}", start_s=600)).undo
    assert back
    os.kill(server.pid, signal.SIGKILL)
    assert server.here.run(back).code == 0
    assert int((server.here.root / "shared" / "web.pid").read_text()) != server.pid


def test_a_start_that_fails_says_how_it_ended(server: Server) -> None:
    """And what it said, but nothing of who was started before."""
    (server.here.private / "web.log").write_text("an old story\n")
    ran = server.renew(server.starting("echo no such thing; exit 3"))
    assert (ran.code, ran.err.splitlines()) == (70, ["  | no such thing", "start web: `start` ended with exit 3"])


def test_a_start_that_brings_no_master_is_told(server: Server) -> None:
    """By the file that should name it."""
    ran = server.renew(server.starting("true", start_s=1))
    file = server.here.root / "shared" / "web.pid"
    assert (ran.code, len(ran.err.splitlines())) == (70, 1)
    assert f"start web: {file} names no master with a worker after 1 s: nothing was said (with `--daemon`" in ran.err


def test_a_master_that_ends_at_once_is_quoted_and_so_it_is_when_it_is_taken_back(server: Server) -> None:
    """Its port is another's: no release comes up there, neither the new nor the old, and that is no success."""
    log = server.here.root / "shared" / "gunicorn log"
    log.write_text("[ERROR] an old story\n")
    taken = "[1] [ERROR] Connection in use: ('127.0.0.1', 80)"
    (server.here.base / "gunicorn").write_text(
        f"import os, time\nopen('shared/web.pid', 'w').write(str(os.getpid()))\ntime.sleep(0.5)\n"
        f"print({taken!r}, file=open({str(log)!r}, 'a'))\n"
    )
    start = f'{sys.executable} {server.here.base}/gunicorn --log-file "$PWD/shared/gunicorn log" &'
    step = server.replacing(server.starting(start))
    for each in (step, step.undo):
        assert each
        ran = server.here.run(each)
        assert ran.code == 70
        assert ran.err.splitlines() == [
            f"  | {taken}",
            "start web: its master ended before it had a worker: Connection in use: ('127.0.0.1', 80)",
        ]


def test_the_last_words_of_a_reload_are_those_since_it(server: Server) -> None:
    """A log that is turned over meanwhile is all new."""
    log = server.here.root / "shared" / "gunicorn.log"
    log.write_text("an old story\n")
    kind = server.starting(f"{server.program} --error-logfile={log} &")
    switch = Switch(kind.root, 7, B, A)
    assert server.here.run(kind.after(switch, server.facts)[0]).code == 0
    with log.open("a") as file:
        print("worker failed to boot", file=file)
    (words,) = kind.words(switch)
    assert server.here.run(words).err == "  | worker failed to boot\n"
    log.write_text("anew\n")
    assert server.here.run(words).err == "  | anew\n"


def test_what_was_started_by_another_start_than_now_is_told_from_what_was_not(server: Server) -> None:
    """By what its environment says, whoever was its parent; of who was started by hand nothing is known."""
    assert server.facts.answer.all("web.started") == ()
    kind = server.starting(f"{server.program} & echo $! >shared/web.pid")
    assert server.renew(kind).code == 0
    assert server.facts.answer.one("web.started") == kind.values()["digest"]


def test_what_is_down_after_a_reboot_is_started(server: Server) -> None:
    """Whomever its old pid names by now; what runs is left alone, and all is where nobody asks for a start."""
    pidfile, kind = (
        server.here.root / "shared" / "web.pid",
        server.starting(f"{server.program} & echo $! >shared/web.pid"),
    )
    assert server.boot(kind, "start") == (0, "")
    assert server.settle() == []
    os.kill(server.pid, signal.SIGKILL)
    server.here.started[-1].wait()
    for holds, written in ((os.getpid(), 1.0), (os.getpid(), time.time()), (server.pid, time.time())):
        pidfile.write_text(f"{holds}\n")
        os.utime(pidfile, (written, written))
        assert server.boot(kind, "") == (0, "")
        assert pidfile.read_text() == f"{holds}\n"
        assert server.boot(kind, "start") == (0, "")
        master = int(server.survey().answer.one("web.master"))
        assert server.survey().answer.one("web.started") == kind.values()["digest"]
        os.kill(master, signal.SIGKILL)
        until(lambda: not server.survey().answer.number("web.master"), what="its end")


def test_a_start_after_a_reboot_that_fails_is_told_and_one_without_a_release_is_not_made(server: Server) -> None:
    """By the mail of cron, and its exit code."""
    os.kill(server.pid, signal.SIGKILL)
    assert server.boot(server.starting("exit 3"), "start")[0] == 70
    (server.here.root / "current").unlink()
    assert server.boot(server.starting("exit 3"), "start") == (0, "")


def test_no_start_after_a_reboot_comes_between_a_deploy(server: Server) -> None:
    """Who holds the lock starts what it needs."""
    os.kill(server.pid, signal.SIGKILL)
    with server.here.session():
        assert server.boot(server.starting("exit 3"), "start") == (0, "")


def test_a_unit_that_may_not_be_restarted_is_told(account: Here) -> None:
    """By sudo, before a deploy; while it is proven nobody asks again."""
    here, web = account, {"kind": "gunicorn", "unit": "web.service", "scope": "system"}
    settings = config(root=here.layout.root, processes={"web": web})
    asked = here.root / "asked"
    here.release(A)
    here.publish(A)
    for code in (1, 0):
        for name, text in (("sudo", f'echo "$*" >>{shlex.quote(str(asked))}; exit {code}'), ("systemctl", "exit 1")):
            tool = here.base / "bin" / name
            tool.unlink(missing_ok=True)
            tool.write_text(f"#!/bin/sh\n{text}\n")
            tool.chmod(0o755)
        ran = here.run(steps.survey(settings, kinds(settings)))
        assert ran.answer.all("web.forbidden") == ((str(here.base / "bin" / "systemctl"),) if code else ())
    before = asked.read_text()
    here.run(proofs.prove(settings, A, kinds(settings), None, wait_s=1))
    assert asked.read_text() == before
