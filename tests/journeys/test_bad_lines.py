"""A host that can't be reached, does not know us or is not who it was: said in seconds, and nothing was sent."""

import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.app import App
from tests.conftest import require
from tests.refusal import hinted, refused
from tests.sshd import Sshd

pytestmark = pytest.mark.journey


@contextmanager
def listening(greeting: bytes | None, *, resets: bool = False) -> Iterator[int]:
    """A port where *greeting* is said and then hung up, by a reset if it *resets*; None says nothing for ever."""
    kept = []

    def accept(server: socket.socket) -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            if greeting is None:
                kept.append(line)
                continue
            line.sendall(greeting)
            if resets:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            line.close()

    server = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=accept, args=(server,))
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
        for line in kept:
            line.close()


def move(app: App, port: int) -> None:
    """Deploy to another port of this machine."""
    app.address = f"{app.address.rpartition(':')[0]}:{port}"
    app.configure()


def trust(app: App, line: str) -> Path:
    """Let the account know only this *line* of known hosts."""
    known = app.home / ".ssh" / "known_hosts"
    known.write_text(line)
    config = app.home / ".ssh" / "config"
    lines = [word for word in config.read_text().splitlines() if "UserKnownHostsFile" not in word]
    config.write_text("\n".join([*lines, "  UserKnownHostsFile ~/.ssh/known_hosts"]) + "\n")
    return known


def test_a_port_where_nothing_listens_is_refused_at_once(app: App) -> None:
    """The hint is an ssh that shows more."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    move(app, port)
    app.write("v1")
    refused(app, "deploy", says=(f"127.0.0.1:{port}", "Connection refused"), hint=f"`ssh -p {port} ")


def test_a_name_that_nobody_has_is_told(app: App) -> None:
    """With the name."""
    app.address = "deploy@no-such-host.invalid"
    app.configure()
    app.write("v1")
    refused(app, "deploy", says=("no-such-host.invalid", "ame"), hint="`ssh deploy@no-such-host.invalid`")


@pytest.mark.parametrize(
    ("greeting", "resets"), [(b"", True), (b"", False), (b"HTTP/1.0 400 Bad Request\r\n\r\n", False)]
)
def test_who_hangs_up_is_told_without_a_traceback(app: App, greeting: bytes, resets: bool) -> None:
    """Whether by a reset, or with words that are no SSH."""
    with listening(greeting, resets=resets) as port:
        move(app, port)
        app.write("v1")
        result = refused(app, "deploy", says=(f"127.0.0.1:{port}",), hint=f"`ssh -p {port} ")
    assert "closed" in result.err or "Connection reset by peer" in result.err


def test_who_accepts_and_never_speaks_is_given_up_after_ten_seconds(app: App) -> None:
    """And not after the minutes of TCP."""
    with listening(None) as port:
        move(app, port)
        app.write("v1")
        began = time.monotonic()
        refused(app, "deploy", says=(f"127.0.0.1:{port}", "no answer within 10 s"), hint=f"`ssh -p {port} ")
        assert time.monotonic() - began < 13


def test_a_key_that_the_host_does_not_know_is_told_with_the_account(app: App, sshd: Sshd) -> None:
    """And no key at all; as for ssh, one that is missing on disk is none."""
    app.write("v1")
    stranger = app.home / "stranger"
    config = app.home / ".ssh" / "config"
    config.write_text(config.read_text().replace(str(sshd.identity), str(stranger)))
    ssh = f"`ssh -p {sshd.port} {sshd.user}@127.0.0.1`"
    account = f"{sshd.user} may not log in"
    refused(app, "deploy", says=(f"127.0.0.1:{sshd.port}", account, "no key to try"), hint=ssh)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger)], check=True)
    refused(app, "deploy", says=(f"127.0.0.1:{sshd.port}", account, "Authentication failed"), hint=ssh)


def test_an_unknown_host_gets_nothing_and_the_hint_accepts_it(app: App, sshd: Sshd) -> None:
    """P10: the fingerprint is that of the host; the command that would accept it, does."""
    known = trust(app, "")
    app.write("v1")
    sessions = sshd.sessions()
    result = refused(
        app, "deploy", says=(f"127.0.0.1:{sshd.port}", "unknown host key", fingerprint(sshd)), hint="~/.ssh"
    )
    assert sshd.sessions() == sessions
    accept(app, hinted(result).partition("then: ")[2])
    assert sshd.host_key in known.read_text()
    app.deploy("v1")


def test_a_changed_host_key_gets_nothing_and_shows_both_fingerprints(app: App, sshd: Sshd) -> None:
    """P10: the command that would accept it puts the new one in the place of the old."""
    known = trust(app, f"[127.0.0.1]:{sshd.port} {(sshd.home / 'client_key.pub').read_text()}")
    app.write("v1")
    sessions = sshd.sessions()
    says = (f"127.0.0.1:{sshd.port}", "the host key has changed", fingerprint(sshd), "known is SHA256:")
    result = refused(app, "deploy", says=says, hint="if you know why: ")
    assert sshd.sessions() == sessions
    accept(app, hinted(result).partition("why: ")[2])
    assert known.read_text().count("ssh-ed25519") == 1
    app.deploy("v1")


def fingerprint(sshd: Sshd) -> str:
    """As ssh-keygen prints it."""
    command = ["ssh-keygen", "-lf", str(sshd.home / "host_key.pub")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[1]


def accept(app: App, command: str) -> None:
    """Run what a hint says, at home."""
    environment = {"HOME": str(app.home), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def jump() -> Iterator[Sshd]:
    """Another host, in between."""
    with Sshd() as running:
        yield running


def through(app: App, *jumps: Sshd, known: str = "", alias: str = "") -> Path:
    """Reach the host over *jumps*, of whose keys only these are *known*, under their names behind *alias* if any."""
    file = app.home / ".ssh" / "known_jumps"
    file.write_text(known)
    names = [f"jump{number}" for number in range(len(jumps))]
    hosts = [
        f"Host {name}\n  HostName 127.0.0.1\n  Port {jump.port}\n  IdentityFile {jump.identity}\n"
        f"  UserKnownHostsFile {file}\n" + (f"  HostKeyAlias {alias}{name}\n" if alias else "")
        for name, jump in zip(names, jumps, strict=True)
    ]
    config = app.home / ".ssh" / "config"
    config.write_text("\n".join([*hosts, f"Host 127.0.0.1\n  ProxyJump {','.join(names)}\n", config.read_text()]))
    return file


def entered(sshd: Sshd) -> bool:
    """Has anybody logged in there?"""
    return "Accepted publickey" in sshd.log.read_text()


def test_an_unknown_jump_host_gets_nothing_and_the_hint_accepts_it(app: App, sshd: Sshd, jump: Sshd) -> None:
    """P10: not even a login, and the host behind it no connection."""
    known = through(app, jump)
    asked = sshd.connections()
    says = (f"127.0.0.1:{sshd.port}: jump host jump0: unknown host key", fingerprint(jump))
    result = refused(app, "status", says=says, hint="~/.ssh")
    assert (entered(jump), sshd.connections()) == (False, asked)
    accept(app, hinted(result).partition("then: ")[2])
    assert jump.host_key in known.read_text()
    result = app.run("status")
    assert (result.code, entered(jump), sshd.connections()) == (0, True, asked + 1), result.err


def test_a_jump_host_whose_key_has_changed_gets_nothing(app: App, sshd: Sshd, jump: Sshd) -> None:
    """P10: the command that would accept it puts the new one in the place of the old."""
    other = (jump.home / "client_key.pub").read_text()
    through(app, jump, known=f"[127.0.0.1]:{jump.port} {other}")
    asked = sshd.connections()
    says = ("jump host jump0: the host key has changed", fingerprint(jump), "known is SHA256:")
    result = refused(app, "status", says=says, hint="if you know why: ")
    assert (entered(jump), sshd.connections()) == (False, asked)
    accept(app, hinted(result).partition("why: ")[2])
    assert app.run("status").code == 0


def test_an_unknown_host_behind_a_jump_host_gets_nothing(app: App, sshd: Sshd, jump: Sshd) -> None:
    """P10: only the jump host can ask for its key."""
    trust(app, "")
    through(app, jump, known=f"[127.0.0.1]:{jump.port} {jump.host_key}\n")
    hint = f"then: ssh -p {jump.port} {jump.user}@jump0 ssh-keyscan -p {sshd.port} 127.0.0.1 >> ~/.ssh/known_hosts"
    sessions = sshd.sessions()
    refused(app, "status", says=("unknown host key", fingerprint(sshd)), hint=hint)
    assert sshd.sessions() == sessions


def test_jump_hosts_are_passed_in_their_order_each_known_by_its_alias(app: App, sshd: Sshd) -> None:
    """HostKeyAlias, as ssh has it; each lets us go on to the next only."""
    with ExitStack() as running:
        second = running.enter_context(Sshd(config=f"PermitOpen 127.0.0.1:{sshd.port}"))
        first = running.enter_context(Sshd(config=f"PermitOpen 127.0.0.1:{second.port}"))
        known = f"bastion-jump0 {first.host_key}\nbastion-jump1 {second.host_key}\n"
        through(app, first, second, known=known, alias="bastion-")
        result = app.run("status")
        assert (result.code, entered(first), entered(second)) == (0, True, True), result.err


def test_a_jump_host_that_is_down_is_named(app: App, jump: Sshd) -> None:
    """And not the host behind it."""
    through(app, jump, known=f"[127.0.0.1]:{jump.port} {jump.host_key}\n")
    jump.stop()
    ssh = f"`ssh -p {jump.port} {jump.user}@jump0`"
    refused(app, "status", says=("jump host jump0: no SSH connection to", f":{jump.port}: "), hint=ssh)


@pytest.mark.parametrize("wrong", ["Port 22 22", "Port many", "NoValue", "ForwardAgent perhaps"])
def test_a_mistake_in_the_configuration_of_ssh_is_told_with_its_file(app: App, wrong: str) -> None:
    """Not as a traceback."""
    address = app.address.rpartition(":")[0]
    (app.home / ".ssh" / "config").write_text(f"Host *\n  {wrong}\n")
    app.address = address
    app.configure()
    refused(app, "status", says=("127.0.0.1: ~/.ssh/config cannot be used: ",), hint="`ssh -G HOST`")


PROFILES = {".bashrc": "echo hello; echo oh >&2", ".tcshrc": "echo hello", ".config/fish/config.fish": "echo hello"}


def shell(app: App, shell: str, home: Path, profiles: dict[str, str]) -> Sshd:
    """An sshd whose account has this login *shell*, with *profiles* at home; the app deploys to it."""
    for name, text in profiles.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text + "\n")
    return Sshd(force_shell=shell, environment={"HOME": str(home)})


def use(app: App, sshd: Sshd) -> None:
    """Deploy over this sshd."""
    (app.home / ".ssh" / "config").write_text(sshd.ssh_config.read_text())
    move(app, sshd.port)


@pytest.mark.parametrize("name", ["bash", "dash", "fish", "tcsh"])
def test_a_login_shell_with_a_talkative_profile_is_no_matter(app: App, tmp_path: Path, name: str) -> None:
    """What it prints is not taken for an answer."""
    try:
        other = shell(app, name, tmp_path / "account", PROFILES)
    except FileNotFoundError as error:
        require(f"{error}: apt-get install {name}")
    with other:
        use(app, other)
        app.deploy("v1")
        assert app.live == "v1"


def test_a_profile_that_prints_no_end_of_a_line_is_no_matter(app: App, tmp_path: Path) -> None:
    """Like the title of a window, on either stream."""
    with shell(app, "bash", tmp_path / "account", {".bashrc": "printf '\\033]0;title\\007'; printf oh >&2"}) as other:
        use(app, other)
        app.deploy("v1")
        assert app.live == "v1"
        app.write("v2")
        app.configure('[shared]\nfiles = [".env"]\n')
        assert "shared/.env is missing" in app.run("deploy").err


def test_an_account_that_may_not_have_a_shell_is_told_so(app: App, tmp_path: Path) -> None:
    """In the words of what it has instead."""
    with shell(app, "bash", tmp_path / "account", {".bashrc": "echo no shell for you; exit 1"}) as other:
        use(app, other)
        app.write("v1")
        says = (f"127.0.0.1:{other.port}", "/bin/sh did not start", "no shell for you")
        refused(app, "deploy", says=says, hint=f"`ssh -p {other.port} {other.user}@127.0.0.1 /bin/sh -c true`")


def test_a_profile_that_becomes_another_shell_is_told_and_runs_nothing_of_ours(app: App, tmp_path: Path) -> None:
    """It waits for input, as nothing says that it is not the shell that was asked; we say nothing to it."""
    try:
        other = shell(app, "bash", tmp_path / "account", {".bashrc": "tee ~/heard | fish; exit"})
    except FileNotFoundError as error:
        require(f"{error}: apt-get install bash fish")
    with other:
        use(app, other)
        app.write("v1")
        says = (f"127.0.0.1:{other.port}", "/bin/sh did not start")
        refused(app, "deploy", says=says, hint="an `exec` in ~/.bashrc", limit_s=60)
    assert not (tmp_path / "account" / "heard").read_text().strip()
