"""The hosts of a walk, three or those that are given, and the projects that clients deploy to them from."""

import os
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.chaos import site
from tests.chaos.client import Client
from tests.chaos.host import Host
from tests.forks import REPOSITORY, Command
from tests.reader import Reader

NAMES = ("one", "two", "three")
CLIENTS = 2
FIRST = 418_230  # the processes of the hosts are told apart by it


class Town:
    """All of it below *home*; a context manager that ends what it has started, and leaves the files."""

    def __init__(self, home: Path, hosts: Iterable[Host] = (), *, clients: int = CLIENTS) -> None:
        self.home, self.clients, self._ends = home, clients, ExitStack()
        first = FIRST + os.getpid() % 10_000 * 10
        mine = hosts or (Host(name, home / name, first + number) for number, name in enumerate(NAMES))
        self.hosts = {host.name: host for host in mine}
        self.readers: list[Reader] = []

    def __enter__(self) -> Self:
        for host in self.hosts.values():
            self._ends.enter_context(host)
        for client in range(self.clients):
            site.write(self.folder(client), "v0")
            (self.folder(client) / "deploy.toml").write_text(self._configured())
            ssh = self._home(client) / ".ssh"
            ssh.mkdir(parents=True)
            known = "".join(host.sshd.known_hosts.read_text() for host in self.hosts.values())
            (ssh / "known_hosts").write_text(known)
            keys = "".join(f"  IdentityFile {host.sshd.identity}\n" for host in self.hosts.values())
            files = f"  UserKnownHostsFile {ssh}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
            (ssh / "config").write_text(f"Host *\n{keys}  IdentitiesOnly yes\n{files}")
        return self

    def __exit__(self, *_: object) -> None:
        for host in self.hosts.values():
            host.end()
        self._ends.close()

    def watch(self) -> None:
        """From now on ``current`` is read all the time on every host."""
        for host in self.hosts.values():
            self.readers.append(self._ends.enter_context(Reader(host.root)))

    def folder(self, client: int) -> Path:
        """The project of a client."""
        return self.home / f"client{client}" / "shop"

    def start(self, client: int, words: tuple[str, ...], hosts: tuple[str, ...]) -> Client:
        """Start a command for some of the hosts."""
        environment = {
            **os.environ,
            "HOME": str(self._home(client)),
            "XDG_CACHE_HOME": str(self._home(client) / ".cache"),
            "PYTHONPATH": str(REPOSITORY),
            "GITLAB_USER_LOGIN": f"client{client}",
        }
        command = (*words, "--host", ",".join(hosts), "--json")
        process = Command(command, cwd=self.folder(client), env=environment)
        return Client(words, hosts, process, who=environment["GITLAB_USER_LOGIN"])

    def keep(self) -> None:
        """Copy what lies on disks that go with us to where it stays."""
        for host in self.hosts.values():
            if host.mounted:
                shutil.copytree(host.root, host.home / "kept", symlinks=True, dirs_exist_ok=True)

    def _home(self, client: int) -> Path:
        return self.home / f"client{client}"

    def _configured(self) -> str:
        tables = "".join(
            f'[hosts.{name}]\nssh = ["{host.line.address}"]\nroot = "{host.root}"\n'
            for name, host in self.hosts.items()
        )
        return (
            f'app = "shop"\n{tables}[build]\nsource = "folder"\nexclude = ["deploy.toml"]\n'
            f"[strategy]\nsettle_s = 0.05\n{site.TABLES}"
        )
