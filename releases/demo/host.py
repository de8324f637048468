"""The demo's host and project: made in a temporary directory, and everything that runs in it ended with it."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from . import supervise

HERE = Path(__file__).parent
PACKAGES = HERE.parent.parent  # where `import releases` finds us
START_S = 15.0


@dataclass(slots=True)
class Host:
    """A project, the home of who deploys it, and a host with an SSH server; a context manager that ends the server."""

    directory: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="switchover-demo-")).resolve())
    port: int = field(default_factory=lambda: _free_port())
    _server: subprocess.Popen[bytes] | None = None

    @property
    def project(self) -> Path:
        """What a developer has: the code and its deploy.toml."""
        return self.directory / "project"

    @property
    def home(self) -> Path:
        """The home directory of who deploys: a key, and the keys of known hosts."""
        return self.directory / "developer"

    @property
    def far(self) -> Path:
        """The home directory of the deploy account on the host."""
        return self.directory / "host"

    @property
    def root(self) -> Path:
        """Where the application lives on the host."""
        return self.directory / "srv" / "shop"

    @property
    def url(self) -> str:
        """What clients ask."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def live(self) -> str:
        """The release that ``current`` names."""
        try:
            return os.readlink(self.root / "current").removeprefix("releases/")
        except FileNotFoundError:
            return ""

    @property
    def environment(self) -> Mapping[str, str]:
        """That of every command of the story: nothing of yours is read or written."""
        ours = {"HOME": str(self.home), "XDG_CACHE_HOME": str(self.home / ".cache"), "PYTHONPATH": str(PACKAGES)}
        return {k: v for k, v in os.environ.items() if k != "SSH_AUTH_SOCK"} | ours

    def __enter__(self) -> Self:
        from . import server

        for path in (self.home / ".ssh", self.far, self.root):
            path.mkdir(parents=True)
        shutil.copytree(HERE / "shop", self.project, ignore=shutil.ignore_patterns("__pycache__"))
        server.keys(self.far)
        # Supervised, so that the server and all that its sessions start end with us, even when we are killed.
        command = [sys.executable, "-IS", supervise.__file__, sys.executable, "-m", f"{__package__}.server"]
        environment = {**os.environ, "PYTHONPATH": str(PACKAGES)}
        self._server = subprocess.Popen([*command, str(self.far)], stdin=subprocess.PIPE, env=environment)
        try:
            self._configure(self._listening())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._server and self._server.stdin:
            self._server.stdin.close()
            self._server.wait()

    def edit(self, name: str, old: str, new: str) -> None:
        """Change one place in one file of the project."""
        file = self.project / name
        text = file.read_text()
        assert text.count(old) == 1, f"{name} has {old!r} {text.count(old)} times"
        file.write_text(text.replace(old, new))

    def forget(self) -> None:
        """Remove the directory; releases are read-only."""
        for path, _, _ in os.walk(self.directory):
            os.chmod(path, 0o700)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _listening(self) -> int:
        end = time.monotonic() + START_S
        while not (self.far / "port").exists():
            if time.monotonic() > end:
                raise RuntimeError(f"the SSH server did not start within {START_S:g} s")
            time.sleep(0.02)
        return int((self.far / "port").read_text())

    def _configure(self, port: int) -> None:
        config = self.project / "deploy.toml"
        config.write_text(config.read_text().replace("ROOT", str(self.root)).replace("PORT", str(self.port)))
        key = " ".join((self.far / "host_key.pub").read_text().split()[:2])
        (self.home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}\n")
        (self.home / ".ssh" / "config").write_text(
            f"Host web1\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
            f"  IdentityFile {self.far / 'client_key'}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.home / '.ssh' / 'known_hosts'}\n  GlobalKnownHostsFile /dev/null\n"
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
