"""nginx: an include is marked under three shells, and a real one is reloaded; each trouble has its line."""

import select
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from releases import steps as tell
from releases.answer import Answer
from releases.arming import guarded
from releases.balancers.kind import marked
from releases.balancers.kinds import balancer
from releases.balancers.nginx import drained
from releases.plan import Step
from tests.app import until
from tests.balancer import Nginx, Upstream, missing
from tests.conftest import require
from tests.hosts import config
from tests.scripts.running import Here, Ran

LINES = """# who serves
server web1:8000 weight=2 max_fails=3;   # down under
  server web2:8000;
server\tweb3:8000 down backup;
"""


def steps(here: Here, include: Path, server: str = "web1:8000", **more: object) -> dict[str, Step]:
    """Each step of one server by its name; test and reload are "true" unless others are given."""
    settings = {"kind": "nginx", "include": str(include), "server": server, "test": "true", "reload": "true", **more}
    found = balancer("web1", "web1", config(balancer=settings, root=PurePosixPath(here.root)))
    assert found
    each = (found.check(), found.ask(), *found.drain(7), *found.undrain(7))
    return {step.name: step for step in each if step}


def problem(here: Here, include: Path, **more: object) -> tuple[str, str]:
    """What is told of it, and the hint."""
    settings = {"kind": "nginx", "include": str(include), "server": "web1:8000", "test": "true", **more}
    found = balancer("web1", "web1", config(balancer=settings, root=PurePosixPath(here.root)))
    assert found
    refused = found.problem(ok(here.run(steps(here, include, **more)["check"])))
    return (str(refused), refused.hint) if refused else ("", "")


def ok(ran: Ran) -> Answer:
    assert ran.code == 0, ran.err
    return ran.answer


@pytest.fixture
def include(here: Here) -> Path:
    """Three servers, one of them down."""
    (here.base / "conf").mkdir()
    path = here.base / "conf" / "servers.conf"
    path.write_text(LINES)
    path.chmod(0o640)
    return path


def test_only_the_line_of_the_server_is_changed_and_changed_back(here: Here, include: Path) -> None:
    """Twice changes nothing; mode, comments and other words stay, and nothing is left beside it."""
    each = steps(here, include)
    for _ in range(2):
        ok(here.run(each["drain"]))
        assert include.read_text() == LINES.replace("max_fails=3;", "max_fails=3 down;")
    for _ in range(2):
        ok(here.run(each["undrain"]))
        assert include.read_text() == LINES
    ok(here.run(steps(here, include, "web3:8000")["undrain"]))
    assert include.read_text() == LINES.replace("\tweb3:8000 down backup", "\tweb3:8000 backup")
    assert (include.stat().st_mode & 0o777, [p.name for p in include.parent.iterdir()]) == (0o640, ["servers.conf"])


def test_it_is_asked_how_a_server_is_marked(here: Here, include: Path) -> None:
    """By its line alone; a file that cannot be read is an error, not an answer."""
    said = {name: marked(ok(here.run(steps(here, include, f"{name}:8000")["state"]))) for name in ("web1", "web3", "w")}
    assert said == {"web1": "in rotation", "web3": "drained", "w": "not known there"}
    ran = here.run(steps(here, here.base / "none.conf")["state"])
    assert (ran.code, "none.conf cannot be read by" in ran.err) == (66, True)


def test_who_is_the_last_one_up_stays(here: Here, include: Path) -> None:
    """Or nobody would be left to serve."""
    ok(here.run(steps(here, include)["drain"]))
    before = include.read_text()
    assert ok(here.run(steps(here, include, "web2:8000")["drain"])).one("alone") == "1"
    assert include.read_text() == before


@pytest.mark.parametrize("what", ["test", "reload"])
def test_what_fails_puts_the_include_back(here: Here, include: Path, what: str) -> None:
    """And fails the step with the last word of nginx."""
    ran = here.run(steps(here, include, **{what: "echo emerg: no >&2; false"})["drain"])
    assert (ran.code, include.read_text()) == (70, LINES)
    assert ran.err.splitlines()[-1].endswith("exit 1: emerg: no")
    assert [p.name for p in include.parent.iterdir()] == ["servers.conf"]


def test_what_is_wrong_with_it_is_told_in_one_line(here: Here, include: Path) -> None:
    """No such file, no such server, or nginx does not take what is there."""
    assert problem(here, include) == ("", "")
    why, hint = problem(here, include, server="web4:8000")
    assert (why, hint) == (
        f"web1: {include} has no server web4:8000",
        "balancer.server: it has web1:8000, web2:8000, web3:8000",
    )
    why, hint = problem(here, include, test="echo nginx: broken >&2; exit 1")
    assert why.endswith("fails before anything was changed: nginx: broken")
    why, hint = problem(here, here.base / "none.conf")
    assert (why, hint) == (
        f"web1: {here.base}/none.conf is no file",
        "it needs a line `server web1:8000;` for each host",
    )


def test_an_include_of_somebody_else_is_told(account: Here) -> None:
    """It could not be replaced."""
    require("" if account.drops else "only root can be somebody else")
    (account.base / "servers.conf").write_text(LINES)
    (account.base / "servers.conf").chmod(0o644)
    why, _ = problem(account, account.base / "servers.conf")
    assert why.endswith(f"cannot be replaced: nobody may not write in {account.base}")


def test_the_arm_of_a_balancers_host_brings_a_server_back(here: Here, include: Path) -> None:
    """P2: by itself, with a test and a reload."""
    each = steps(here, include, host="deploy@lb1", root=str(here.root), reload=f"echo reloaded >>{here.base}/told")
    with here.session() as deployer:
        for name in ("guard", "drain"):
            ok(deployer.run(guarded(each[name], 7) if name == "guard" else each[name]))
        assert include.read_text() != LINES
    until(lambda: include.read_text() == LINES, what="the server in rotation")
    until(lambda: (here.base / "told").read_text() == "reloaded\n" * 2, what="a reload")


def test_who_cannot_be_brought_back_is_tried_again_by_the_next_session(here: Here, include: Path) -> None:
    """nginx does not take its configuration just then, for another reason; once it does, it is said and forgotten."""
    each = steps(here, include, host="deploy@lb1", root=str(here.root), test=f"[ ! -e {here.base}/broken ]")
    settle, arms = tell.settle(here.layout, '{"who":"ben"'), here.private / "armed"
    with here.session() as deployer:
        for name in ("guard", "drain"):
            ok(deployer.run(guarded(each[name], 7) if name == "guard" else each[name]))
        (here.base / "broken").touch()
    until(lambda: _is_free(here), what="the end of the dead man's switch")
    for _ in range(2):
        with here.session() as deployer:
            assert ok(deployer.run(settle)).all("reverted") == ("web1:8000.7 70",)
            assert (include.read_text() != LINES, len(list(arms.iterdir()))) == (True, 1)
    (here.base / "broken").unlink()
    with here.session() as deployer:
        assert ok(deployer.run(settle)).all("reverted") == ("web1:8000.7 0",)
    assert (include.read_text(), list(arms.iterdir())) == (LINES, [])
    assert here.journal.count('"undrained"') == 1


def _is_free(here: Here) -> bool:
    """Whether nobody has the lock any more, nor waits for it."""
    pid = next((here.private / "armed").glob("*/pid")).read_text().strip()
    return not Path(f"/proc/{pid}/fd/9").exists()


def test_it_is_drained_once_the_old_workers_are_gone() -> None:
    """Not before nginx has new ones."""
    said = {(reloaded, left): drained(Answer((("reloaded", reloaded), ("left", left)))).why for reloaded, left in CASES}
    assert said == {
        ("0", "0"): "nginx has no new workers yet",
        ("1", "1"): "1 old worker of nginx still at work",
        ("1", "0"): "",
    }


CASES = [("0", "0"), ("1", "1"), ("1", "0")]


@pytest.fixture
def upstreams() -> Iterator[tuple[Upstream, Upstream]]:
    """The first has its time, the second answers at once."""
    found = Upstream(), Upstream()
    found[1].let.set()
    yield found
    for upstream in found:
        upstream.close()


@pytest.fixture
def nginx(here: Here, upstreams: tuple[Upstream, Upstream]) -> Iterator[Nginx]:
    """A real one before two."""
    require(missing("nginx", "nginx-light"))
    (here.base / "nginx").mkdir()
    first, second = upstreams
    with Nginx(here.base / "nginx", {"first": first.port, "second": second.port}) as running:
        yield running


def ask(nginx: Nginx) -> None:
    """One request, to its end."""
    with socket.create_connection(("127.0.0.1", nginx.port)) as line:
        line.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200"), answer


def shutting_down(pid: str) -> bool:
    """Is it an old worker? One of another nginx of this machine may be gone by now."""
    try:
        return b"shutting down" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def only_ours(here: Here, nginx: Nginx) -> list[str]:
    """Let the host know no workers but those of *nginx*: another test may reload its own in this moment."""
    master = (nginx.base / "pid").read_text().strip()
    (record,) = here.private.glob("workers.*")
    ours = [line for line in record.read_text().splitlines() if line.endswith(f" {master}")]
    record.write_text("".join(f"{line}\n" for line in ours))
    return ours


def test_another_nginx_that_starts_meanwhile_is_not_taken_for_the_one_that_was_reloaded(
    here: Here, upstreams: tuple[Upstream, Upstream], nginx: Nginx
) -> None:
    """Or the drain would end before the reload, which only was asked for, has begun."""
    each = steps(here, nginx.include, upstreams[0].address, test="true", reload="true")
    ok(here.run(each["drain"]))
    ours = only_ours(here, nginx)
    (base := here.base / "another").mkdir()
    with Nginx(base, {"second": upstreams[1].port}):
        answer = ok(here.run(each["drained"]))
    assert (len(ours), answer.one("reloaded")) == (1, "0")


def test_a_reload_closes_what_clients_keep_and_asks_nobody_what_they_send_then(
    upstreams: tuple[Upstream, Upstream], tmp_path: Path
) -> None:
    """So a client may send it again, to whoever serves: docs/fleets.md says what else helps."""
    require(missing("nginx", "nginx-light"))
    upstreams[0].let.set()
    request = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
    with (
        Nginx(tmp_path, {"first": upstreams[0].port, "second": upstreams[1].port}) as nginx,
        socket.create_connection(("127.0.0.1", nginx.port)) as line,
    ):
        line.sendall(request)
        assert b"Connection: keep-alive" in line.recv(65536)
        subprocess.run(["sh", "-c", f"{nginx.command} -s reload"], check=True, capture_output=True)
        until(lambda: bool(select.select([line], [], [], 0)[0]), what="the end of the connection")
        line.sendall(request)
        assert line.recv(65536) == b""
        assert sum(upstream.asked for upstream in upstreams) == 1


def test_a_real_one_sends_nothing_more_and_finishes_what_is_in_flight(
    here: Here, upstreams: tuple[Upstream, Upstream], nginx: Nginx
) -> None:
    """And it is known when that has ended."""
    commands = {"test": f"{nginx.command} -t", "reload": f"{nginx.command} -s reload"}
    each = steps(here, nginx.include, upstreams[0].address, **commands)
    assert problem(here, nginx.include, server=upstreams[0].address, **commands) == ("", "")
    asking = threading.Thread(target=ask, args=(nginx,))
    asking.start()
    until(lambda: upstreams[0].asked == 1, what="a request at the first server")
    ok(here.run(each["drain"]))
    old = [line.split()[0] for line in only_ours(here, nginx)]
    until(lambda: any(map(shutting_down, old)), what="a reload")
    assert ok(here.run(each["drained"])).one("left") == "1"
    for _ in range(4):
        ask(nginx)
    assert (upstreams[0].asked, upstreams[1].asked) == (1, 4)
    upstreams[0].let.set()
    asking.join(10)
    until(lambda: drained(ok(here.run(each["drained"]))), what="the end of the old worker")
    ok(here.run(each["undrain"]))
    until(lambda: ask(nginx) or upstreams[0].asked > 1, what="a request at the first server again")
