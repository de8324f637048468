"""A real sshd on this machine for one test module, and a line to it that can be cut, silenced or slowed."""

import getpass
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests import supervise
from tests.line import Line
from tests.supervise import descendants

START_S = 10
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def toolbox(path: Path, *names: str, busybox: bool = False) -> Path:
    """Make *path* a directory of links to these tools, or to busybox's applets of these names, and return it.

    As a session's whole PATH it is a host that has nothing else (but /bin/sh and what is called by its path):
    ``Sshd(environment={"PATH": str(toolbox(tmp_path / "bin", "flock", "tar"))})``. Raises `FileNotFoundError`
    for a tool that this machine does not have.
    """
    path.mkdir(parents=True, exist_ok=True)
    for name in names:
        real = shutil.which("busybox" if busybox else name, path=_PATH)
        if not real or (busybox and name not in _applets(real)):
            raise FileNotFoundError(f"{'busybox has' if busybox else 'this machine has'} no {name}")
        (path / name).symlink_to(real)
    return path


def _applets(busybox: str) -> list[str]:
    return subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()


class Sshd:
    """An sshd on a free port of 127.0.0.1, running as who runs the tests; everything of it ends with `stop`.

    The login shell is the account's own; *force_shell* runs each command as another login shell would
    (``SHELL -c COMMAND`` in $HOME; bash reads ~/.bashrc, as it does for sshd). *environment* is added to that
    of each session and wins over sshd's own PATH and HOME; without *force_shell* a session starts in the account's
    real home, and its HOME is empty. *config* are more lines for sshd_config.
    """

    def __init__(
        self,
        *,
        force_shell: str = "",
        environment: Mapping[str, str] | None = None,
        max_startups: int | str = 200,
        config: str = "",
    ) -> None:
        self.user = getpass.getuser()
        self.home = Path(tempfile.mkdtemp(prefix="sshd-"))
        self.identity = self.home / "client_key"
        self.known_hosts = self.home / "known_hosts"
        self.ssh_config = self.home / "ssh_config"
        self.log = self.home / "log"
        self.port = 0
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._options = {"MaxStartups": str(max_startups)}
        # The profile of who runs the tests takes its time, and a session killed in it may leave locks of its own.
        empty = {"HOME": str(self.home / "empty")}
        (self.home / "empty").mkdir()
        seen = {**empty, **(environment or {})}
        if force_shell:
            self._options["ForceCommand"] = str(self._login(force_shell, environment or {}))
            seen = empty  # the account's own shell must not read the other's files
        self._options["SetEnv"] = " ".join(f'"{name}={value}"' for name, value in seen.items())
        self._more = config
        for key in (self.identity, self.home / "host_key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key.name, "-f", str(key)]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        shutil.copy(self.identity.with_suffix(".pub"), self.home / "authorized_keys")
        self.ssh_config.write_text(
            f"Host *\n  IdentityFile {self.identity}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.known_hosts}\n  GlobalKnownHostsFile /dev/null\n"
        )

    @staticmethod
    def missing() -> str:
        """What must be installed before this can run, in one line; empty when nothing is."""
        lacking = [name for name in ("ssh", "ssh-keygen", "sshd") if not shutil.which(name, path=_PATH)]
        return f"no {', '.join(lacking)}: apt-get install openssh-server openssh-client" if lacking else ""

    @property
    def address(self) -> str:
        """``user@127.0.0.1:PORT``, as deploy.toml takes it."""
        return f"{self.user}@127.0.0.1:{self.port}"

    @property
    def host_key(self) -> str:
        """Kind and key, as known_hosts has them: ``ssh-ed25519 AAAA…``."""
        return " ".join((self.home / "host_key.pub").read_text().split()[:2])

    def connections(self) -> int:
        """How many connections were accepted so far."""
        return len(re.findall(r"^Connection from ", self.log.read_text(), re.M))

    def sessions(self) -> int:
        """How many channels were opened to run something so far, over all connections."""
        return len(re.findall(r"^Starting session: ", self.log.read_text(), re.M))

    def processes(self) -> list[int]:
        """The pids of everything that sessions left or still run, sshd's own processes not counted."""
        below = descendants(self._supervisor.pid) if self._supervisor else []
        return [pid for pid in below if _name(pid) not in ("sshd", "sshd-session", "sshd-auth")]

    def line(self) -> Line:
        """A `Line` to this sshd (not started yet), whose port will be in `known_hosts` too."""
        return Line(self.port, user=self.user, on_start=self._trust)

    def start(self) -> Self:
        """Listen; on the same port as before after a `stop`. Raises `RuntimeError` with the log."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        wanted = self.port
        for _ in range(20):
            self.port = wanted or free_port()
            if self._listens():
                self._trust(self.port)
                return self
            if "Address already in use" not in self.log.read_text():
                break
            time.sleep(0.1)
        raise RuntimeError(f"sshd did not start:\n{self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        """Kill sshd and every process that its sessions started, daemons too; the log and the keys stay."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor and supervisor.stdin:
            supervisor.stdin.close()  # the sign to end
            supervisor.wait(START_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def _listens(self) -> bool:
        config = self.home / "sshd_config"
        config.write_text(self._config())
        seen = self.log.stat().st_size if self.log.exists() else 0
        self.log.touch()
        sshd = shutil.which("sshd", path=_PATH) or "/usr/sbin/sshd"
        command = [sshd, "-D", "-f", str(config), "-E", str(self.log)]
        supervised = [sys.executable, "-IS", supervise.__file__, *command]
        self._supervisor = subprocess.Popen(supervised, stdin=subprocess.PIPE, start_new_session=True)
        end = time.monotonic() + START_S
        while time.monotonic() < end and self._supervisor.poll() is None:
            if b"Server listening on" in self.log.read_bytes()[seen:]:
                return True
            time.sleep(0.01)
        self.stop()
        return False

    def _config(self) -> str:
        options = {
            "ListenAddress": "127.0.0.1",
            "Port": str(self.port),
            "HostKey": str(self.home / "host_key"),
            "AuthorizedKeysFile": str(self.home / "authorized_keys"),
            "AllowUsers": self.user,
            "PermitRootLogin": "prohibit-password",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "StrictModes": "no",  # the keys are below /tmp
            "UsePAM": "no",
            "PrintMotd": "no",
            "PidFile": "none",
            "LogLevel": "VERBOSE",
            "Subsystem": "sftp internal-sftp",
            **({"PerSourcePenalties": "no"} if _version() >= (9, 8) else {}),
            **self._options,
        }
        return "\n".join(f"{name} {value}" for name, value in options.items()) + f"\n{self._more}\n"

    def _login(self, shell: str, environment: Mapping[str, str]) -> Path:
        real = shutil.which(shell, path=_PATH)
        if not real:
            raise FileNotFoundError(f"no such shell: {shell}")
        exports = {"HOME": str(Path.home()), **environment, "SHELL": real}
        wrapper = self.home / "login"
        wrapper.write_text(
            "#!/bin/sh\n"
            + "".join(f"export {name}={shlex.quote(value)}\n" for name, value in exports.items())
            + 'unset SHLVL\ncd "$HOME" || exit\n'
            f'[ -z "$SSH_ORIGINAL_COMMAND" ] || exec {real} -c "$SSH_ORIGINAL_COMMAND"\n'
            f"exec {real}\n"
        )
        wrapper.chmod(0o755)
        return wrapper

    def _trust(self, port: int) -> None:
        line = f"[127.0.0.1]:{port} {self.host_key}\n"
        known = self.known_hosts.read_text() if self.known_hosts.exists() else ""
        if line not in known:
            self.known_hosts.write_text(known + line)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _version() -> tuple[int, int]:
    said = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
