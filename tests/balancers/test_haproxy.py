"""haproxy: the scripts under three shells, against a real one; and what each trouble is called."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from releases.answer import Answer
from releases.arming import guarded
from releases.balancers.haproxy import drained
from releases.balancers.kinds import balancer
from releases.plan import Step
from tests.app import until
from tests.balancer import HAProxy, Upstream, missing
from tests.conftest import require
from tests.hosts import config
from tests.scripts.running import NOBODY, Here, Ran
from tests.sshd import toolbox

NAMES = ("one", "two", "three")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HAProxy]:
    """Three servers that it takes for up."""
    require(missing("haproxy", "haproxy"))
    with HAProxy(tmp_path_factory.mktemp("haproxy"), dict.fromkeys(NAMES, 1), checked=False) as found:
        yield found


@pytest.fixture
def haproxy(running: HAProxy) -> HAProxy:
    """All of them in rotation."""
    for name in NAMES:
        running.told(f"set server web/{name} state ready")
    return running


def steps(
    here: Here, haproxy: HAProxy, server: str = "one", *, remote: bool = False, **more: object
) -> dict[str, Step]:
    """Each step of one server by its name."""
    where = {"host": "deploy@lb1", "root": str(here.root)} if remote else {}
    settings = {"kind": "haproxy", "socket": str(haproxy.socket), "backend": "web", "server": server, **where, **more}
    found = balancer("web1", "web1", config(balancer=settings, root=PurePosixPath(here.root)))
    assert found
    each = (found.check(), *found.drain(7), *found.undrain(7))
    return {step.name: step for step in each if step}


def problem(here: Here, haproxy: HAProxy, **more: object) -> tuple[str, str]:
    """What is told of it, and the hint."""
    settings = {"kind": "haproxy", "socket": str(haproxy.socket), "backend": "web", "server": "one", **more}
    found = balancer("web1", "web1", config(balancer=settings, root=PurePosixPath(here.root)))
    assert found
    step = found.check()
    assert step
    ran = here.run(step)
    assert ran.code == 0, ran.err
    refused = found.problem(ran.answer)
    return (str(refused), refused.hint) if refused else ("", "")


def ok(ran: Ran) -> Answer:
    assert ran.code == 0, ran.err
    return ran.answer


def test_a_server_is_drained_and_made_ready(here: Here, haproxy: HAProxy) -> None:
    """Twice changes nothing; it is asked how it is."""
    each = steps(here, haproxy)
    for _ in range(2):
        assert ok(here.run(each["drain"])).one("alone") == ""
    assert haproxy.states == {"one": "DRAIN", "two": "no check", "three": "no check"}
    assert ok(here.run(each["drained"])).one("connections") == "0"
    for _ in range(2):
        ok(here.run(each["undrain"]))
    assert haproxy.states["one"] == "no check"
    assert ok(here.run(each["serving"])).one("status") == "no check"


def test_a_server_is_drained_once_nothing_is_in_flight(here: Here, tmp_path: Path) -> None:
    """Requests that it has it finishes; others get new ones."""
    require(missing("haproxy", "haproxy"))
    slow, other = Upstream(), Upstream()
    servers = {"one": slow.port, "two": other.port}
    with (
        HAProxy(tmp_path, servers, checked=False) as running,
        socket.create_connection(("127.0.0.1", running.port)) as line,
    ):
        line.sendall(b"GET / HTTP/1.0\r\n\r\n")
        until(lambda: slow.asked, what="a request at the first server")
        each = steps(here, running)
        ok(here.run(each["drain"]))
        said = ok(here.run(each["drained"]))
        assert drained(said).why == "1 connection left"
        slow.let.set()
        assert line.recv(65536).startswith(b"HTTP/1.0 200")
        until(lambda: drained(ok(here.run(each["drained"]))), what="the end of the request")
    slow.close()
    other.close()


def test_who_is_the_last_one_up_stays(here: Here, haproxy: HAProxy) -> None:
    """Or nobody would be left to serve."""
    haproxy.told("set server web/two state maint")
    haproxy.told("set server web/three state drain")
    assert ok(here.run(steps(here, haproxy)["drain"])).one("alone") == "1"
    assert haproxy.states["one"] == "no check"


@pytest.mark.parametrize("here", ["dash"], indirect=True)
@pytest.mark.parametrize("tool", ["socat", "python3", "perl", "nc"])
def test_whatever_can_speak_to_a_socket_will_do(here: Here, haproxy: HAProxy, tool: str, tmp_path: Path) -> None:
    """One of them is on nearly every host."""
    if tool in ("socat", "nc"):
        speaking(tmp_path / "tool", tool)
        path = f"{tmp_path}/tool:{toolbox(tmp_path / 'few', *FEW)}"
    else:
        path = str(toolbox(tmp_path / "few", *FEW))
        real = sys.executable if tool == "python3" else "/usr/bin/perl"
        (tmp_path / "few" / tool).symlink_to(os.path.realpath(real))
    (Path(path.split(":")[-1]) / "sh").symlink_to(here.sh)
    each = steps(here, haproxy)
    ok(here.run(each["drain"], path=path))
    assert haproxy.states["one"] == "DRAIN"
    assert ok(here.run(each["check"], path=path)).one("level") == "admin"


FEW = ("awk", "sed", "head", "cat", "tail", "readlink", "date", "wc", "sync", "printf", "timeout", "id")


def speaking(box: Path, tool: str) -> None:
    """A stand-in for a tool that this machine may not have, called as the real one is."""
    box.mkdir()
    at = {"socat": "$4", "nc": "$2"}[tool].replace("$4", "${4#UNIX-CONNECT:}")
    (box / tool).write_text(
        f"#!/bin/sh\nexec /usr/bin/perl -MIO::Socket::UNIX -e '"
        '$l = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "$!\\n"; print $l <STDIN>; $l->flush; print while <$l>\' '
        f'"{at}"\n'
    )
    (box / tool).chmod(0o755)


def test_a_host_that_can_speak_to_no_socket_is_told(here: Here, haproxy: HAProxy, tmp_path: Path) -> None:
    """With what would do."""
    box = toolbox(tmp_path / "few", *FEW)
    (box / "sh").symlink_to(here.sh)
    assert "neither socat, python3, perl nor nc" in ok(here.run(steps(here, haproxy)["check"], path=str(box))).one(
        "unreachable"
    )


def test_what_is_wrong_with_it_is_told_in_one_line(here: Here, haproxy: HAProxy, tmp_path: Path) -> None:
    """No socket, nobody behind it, no such backend or server."""
    assert problem(here, haproxy) == ("", "")
    why, hint = problem(here, haproxy, backend="wob")
    assert (why, hint) == ("web1: haproxy has no backend wob", "balancer.backend: it has web")
    why, hint = problem(here, haproxy, server="four")
    assert why == "web1: backend web of haproxy has no server four"
    assert hint == "balancer.server: it has one, three, two"
    why, hint = problem(here, haproxy, socket=f"{tmp_path}/none.sock")
    assert why.endswith(f"haproxy cannot be reached: there is no {tmp_path}/none.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{tmp_path}/dead.sock")
    why, hint = problem(here, haproxy, socket=f"{tmp_path}/dead.sock")
    assert (why, "is haproxy up" in hint) == ("web1: haproxy cannot be reached: Connection refused", True)


def test_a_socket_that_lets_us_only_look_is_told(here: Here, tmp_path: Path) -> None:
    """At the level of an operator nothing can be drained."""
    require(missing("haproxy", "haproxy"))
    with HAProxy(tmp_path, {"one": 1}, level="operator", checked=False) as running:
        why, hint = problem(here, running)
    assert (why.endswith("lets us be operator only"), "level admin" in hint) == (True, True)


def test_a_socket_of_somebody_else_is_told(account: Here, tmp_path: Path) -> None:
    """As its permissions are."""
    require(missing("haproxy", "haproxy") or ("" if os.geteuid() == 0 else "only root can be somebody else"))
    with HAProxy(account.base, {"one": 1}, checked=False) as running:
        why, hint = problem(account, running)
        os.chown(running.socket, NOBODY, NOBODY)
        assert problem(account, running) == ("", "")
    assert (why, "writable" in hint) == ("web1: haproxy cannot be reached: Permission denied", True)


def test_a_balancer_has_no_app_where_its_lock_is(here: Here, haproxy: HAProxy) -> None:
    """Nor is a root missing that a plan would not notice, since it takes no lock."""
    remote = {"host": "deploy@lb1", "root": str(here.root)}
    (here.root / "current").symlink_to("releases/x")
    why, hint = problem(here, haproxy, **remote)
    assert ("there is an app in" in why, "balancer.root" in hint) == (True, True)
    why, hint = problem(here, haproxy, **remote | {"root": "/srv/none-such"})
    assert (why.endswith("/srv/none-such does not exist"), "install -d" in hint) == (True, True)


def test_the_arm_of_a_balancers_host_brings_a_server_back(here: Here, haproxy: HAProxy) -> None:
    """P2: by itself, once the lock is free; a session that gets the lock before does it, too."""
    each = steps(here, haproxy, remote=True)
    with here.session() as deployer:
        ok(deployer.run(guarded(each["guard"], 7)))
        ok(deployer.run(each["drain"]))
        assert haproxy.states["one"] == "DRAIN"
    until(lambda: haproxy.states["one"] == "no check", what="the server in rotation")
    until(lambda: not list((here.private / "armed").iterdir()), what="the end of its arm")
    assert '{"event":"undrained","deploy":7,"server":"one","by":"the dead man\'s switch"' in here.journal


def test_an_arm_that_is_not_needed_any_more_leaves_nothing(here: Here, haproxy: HAProxy) -> None:
    """No process waits, and it can be armed again."""
    each = steps(here, haproxy, remote=True)
    with here.session() as deployer:
        for _ in range(2):
            for name in ("guard", "drain", "undrain", "unguard"):
                ok(deployer.run(guarded(each[name], 7) if name == "guard" else each[name]))
        ok(deployer.run(each["unguard"]))
        assert not list((here.private / "armed").iterdir())
        assert here.journal.count('"event":"undrained"') == 2
    until(lambda: not [p for p in here.processes() if "armed/" in words(p)], what="the end of what waits")


def words(pid: int) -> str:
    """The words of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
