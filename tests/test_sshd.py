"""The sshd and the line that the journeys rely on."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from tests.conftest import require
from tests.line import Line
from tests.sshd import Sshd, toolbox

pytestmark = pytest.mark.journey


def client(sshd: Sshd, port: int = 0) -> paramiko.SSHClient:
    """Connect as a careful user does: only to a known host."""
    opened = paramiko.SSHClient()
    opened.load_host_keys(str(sshd.known_hosts))
    opened.set_missing_host_key_policy(paramiko.RejectPolicy())
    opened.connect(
        "127.0.0.1",
        port or sshd.port,
        sshd.user,
        key_filename=str(sshd.identity),
        look_for_keys=False,
        allow_agent=False,
    )
    return opened


def answer(opened: paramiko.SSHClient, command: str) -> str:
    _, out, err = opened.exec_command(command, timeout=10)
    return (out.read() + err.read()).decode().strip()


@pytest.fixture
def line(sshd: Sshd) -> Iterator[Line]:
    with sshd.line() as opened:
        yield opened


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_client_that_checks_the_host_key_gets_in(sshd):
    with client(sshd) as opened:
        assert answer(opened, "echo $((6 * 7))") == "42"


def test_openssh_gets_in_with_the_config_alone(sshd):
    command = [
        "ssh",
        "-F",
        sshd.ssh_config,
        "-oBatchMode=yes",
        "-p",
        str(sshd.port),
        "127.0.0.1",
        "echo hello",
    ]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "hello\n"


def test_another_host_key_is_noticed(sshd, tmp_path):
    """Two sshds never share a key."""
    with Sshd() as stranger:
        known = tmp_path / "known_hosts"
        known.write_text(f"[127.0.0.1]:{stranger.port} {sshd.host_key}\n")
        stranger.known_hosts = known
        with pytest.raises(paramiko.BadHostKeyException):
            client(stranger)


def test_connections_and_sessions_are_counted(sshd):
    connections, sessions = sshd.connections(), sshd.sessions()
    with client(sshd) as opened:
        for _ in range(3):
            answer(opened, "true")
    assert (sshd.connections() - connections, sshd.sessions() - sessions) == (1, 3)


def test_stop_ends_what_sessions_left_behind(sshd):
    """Daemons with a session of their own too; and start listens on the same port again."""
    with Sshd() as other:
        with client(other) as opened:
            pid = int(answer(opened, "setsid sh -c 'sleep 60 >/dev/null 2>&1 & echo $!'"))
        assert alive(pid)
        assert pid in other.processes()
        port = other.port
        other.stop()
        assert not alive(pid)
        other.start()
        assert other.port == port
        with client(other) as opened:
            assert answer(opened, "echo again") == "again"


def test_the_environment_is_as_told(tmp_path):
    """Values with spaces too; a PATH of a few tools is a host without the others."""
    tools = toolbox(tmp_path / "my tools", "id", "true")
    environment = {"PATH": str(tools), "HOME": str(tmp_path), "SW_WORDS": "a  b"}
    with Sshd(environment=environment) as sshd, client(sshd) as opened:
        assert answer(opened, 'echo "$PATH|$HOME|$SW_WORDS"') == f"{tools}|{tmp_path}|a  b"
        assert answer(opened, "id -u") == str(os.getuid())
        assert "not found" in answer(opened, "flock --version")


@pytest.mark.skipif(not shutil.which("busybox"), reason="apt-get install busybox")
def test_a_host_may_have_nothing_but_busybox(tmp_path):
    tools = toolbox(tmp_path / "bin", "sh", "mv", "readlink", busybox=True)
    with (
        Sshd(environment={"PATH": str(tools)}, force_shell=str(tools / "sh")) as sshd,
        client(sshd) as opened,
    ):
        assert "BusyBox" in answer(opened, "mv --help")
        assert "busybox" in answer(opened, "readlink /proc/$$/exe")


@pytest.mark.parametrize("shell", ["dash", "bash", "fish", "tcsh"])
def test_another_login_shell_reads_the_command(shell, tmp_path):
    require("" if shutil.which(shell) else f"apt-get install {shell}")
    (tmp_path / ".bashrc").write_text("echo noise\n")
    with Sshd(force_shell=shell, environment={"HOME": str(tmp_path)}) as sshd, client(sshd) as opened:
        said = answer(opened, "ps -o comm= -p %self; cd; pwd" if shell == "fish" else "echo $0; pwd").split()
        assert said[-1] == str(tmp_path)
        assert ("noise" in said) == (shell == "bash")


def test_a_cut_line_is_noticed_at_once_on_both_sides(sshd, line):
    with client(sshd, line.port) as opened:
        assert answer(opened, "echo hello") == "hello"
        pid = int(answer(opened, "echo $PPID"))
        line.cut()
        opened.get_transport().join(2)
        assert not opened.get_transport().is_active()
        end = time.monotonic() + 5
        while alive(pid) and time.monotonic() < end:
            time.sleep(0.02)
        assert not alive(pid)
    with client(sshd, line.port) as opened:
        assert answer(opened, "echo again") == "again"
    assert line.connections == 2


def test_a_cut_is_a_reset():
    with socket.create_server(("127.0.0.1", 0)) as server, Line(server.getsockname()[1]) as line:
        near = socket.create_connection(("127.0.0.1", line.port), timeout=5)
        far, _ = server.accept()
        far.settimeout(5)
        with near, far:
            line.cut()
            for side in (near, far):
                with pytest.raises(ConnectionResetError):
                    side.recv(1)


def test_a_line_that_swallows_says_nothing_at_all(sshd, line):
    with client(sshd, line.port) as opened:
        stdin, out, _ = opened.exec_command("read word; echo $word", timeout=10)
        line.swallow()
        stdin.write("hello\n")
        stdin.flush()
        assert not out.channel.status_event.wait(0.5)
        assert not out.channel.recv_ready()
        assert opened.get_transport().is_active()
        line.pass_()
        with client(sshd, line.port) as second:
            assert answer(second, "echo hello") == "hello"
        line.cut()


def test_the_end_of_a_connection_is_swallowed_too():
    with socket.create_server(("127.0.0.1", 0)) as server, Line(server.getsockname()[1]) as line:
        near = socket.create_connection(("127.0.0.1", line.port), timeout=5)
        far, _ = server.accept()
        far.settimeout(5)
        with near:
            line.swallow()
            far.close()
            near.settimeout(0.3)
            with pytest.raises(TimeoutError):
                near.recv(1)


def test_a_delayed_line_is_slow_both_ways_and_loses_nothing():
    with socket.create_server(("127.0.0.1", 0)) as server, Line(server.getsockname()[1], delay_s=0.1) as line:
        near = socket.create_connection(("127.0.0.1", line.port), timeout=5)
        far, _ = server.accept()
        far.settimeout(5)
        with near, far:
            began = time.monotonic()
            near.sendall(b"ping")
            assert far.recv(9) == b"ping"
            far.sendall(b"pong")
            assert near.recv(9) == b"pong"
            assert 0.19 < time.monotonic() - began < 1
            far.sendall(b"x" * 1_000_000)
            far.shutdown(socket.SHUT_WR)
            assert sum(len(chunk) for chunk in iter(lambda: near.recv(1 << 16), b"")) == 1_000_000


def test_toolbox_names_what_this_machine_lacks(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="no warp-drive"):
        toolbox(tmp_path, "warp-drive")
