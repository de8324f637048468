"""A real sshd on this machine for one test module, and a line to it that can be cut, silenced or slowed."""

import asyncio
import getpass
import os
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests import supervise
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

    def line(self) -> "Line":
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


class Line:
    """A TCP proxy on a free port of 127.0.0.1 in front of *target*, also a port there.

    `delay_s` is added on each way, so a round trip takes two of it more; it may be changed at any time. `ahead`
    pieces are on their way at most.
    """

    ahead = 64

    def __init__(self, target: int, *, delay_s: float = 0.0, user: str = "", on_start: Any = lambda port: None) -> None:
        self.target, self.delay_s, self.user = target, delay_s, user or getpass.getuser()
        self.port = self.connections = 0
        self._on_start = on_start
        self._swallowing = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._never = asyncio.Event()  # ours, so that who waits for it is not garbage
        self._opening = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="line", daemon=True)

    @property
    def address(self) -> str:
        """``user@127.0.0.1:PORT``."""
        return f"{self.user}@127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Reset every open connection, on both sides, before this returns; new ones are let through."""
        self._do(self._reset())

    def swallow(self) -> None:
        """From now on drop every byte of every connection, in both directions, and say nothing of it."""
        self._swallowing = True

    def hold(self) -> None:
        """From now on keep every byte and every end back until `pass_`, as a line that loses packets for a while."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def pass_(self) -> None:
        """Let everything through again, what was held first; a connection that lost bytes stays of no use."""
        self._swallowing = False
        self._loop.call_soon_threadsafe(self._flows.set)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._accepted, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self._on_start(self.port)
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_S)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._opening += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            return writer.close()
        finally:
            self._opening -= 1
        ends = {writer, far_writer}
        self._open |= ends
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, far_writer))
                group.create_task(self._carry(far_reader, writer))
        finally:
            self._open -= ends
            for end in ends:
                end.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on in one direction what arrives, and the end of the stream, each `delay_s` later."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(self.ahead)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deliver(queue, writer))
            data = b"-"
            while data:
                try:
                    data = await reader.read(1 << 16)
                except OSError:
                    data = b""
                await queue.put((self._loop.time() + self.delay_s, data))

    async def _deliver(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        data = b"-"
        while data:
            due, data = await queue.get()
            await asyncio.sleep(due - self._loop.time())
            await self._flows.wait()
            if self._swallowing and not data:
                await self._never.wait()  # an end is not told either: until cut() or the end of this line
            if not self._swallowing:
                with suppress(OSError):  # nobody is there: what comes is dropped until this side ends too
                    writer.write(data) if data else writer.write_eof()
                    await writer.drain()

    async def _reset(self) -> None:
        while self._opening:
            await asyncio.sleep(0.001)
        for writer in self._open:
            with suppress(OSError):
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        while any(writer.get_extra_info("socket").fileno() >= 0 for writer in self._open):
            await asyncio.sleep(0)

    async def _end(self) -> None:
        self._server.close()
        await self._reset()
        self._never.set()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if rest:
            await asyncio.wait(rest, timeout=1)  # what is cancelled is told by asyncio as if it had failed
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
