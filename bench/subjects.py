"""Who is measured: ours, a script of rsync and ssh, and Capistrano; each deploys the same site to a root of its own."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.app import environ
from tests.sshd import Sshd

REPOSITORY = Path(__file__).parent.parent


@dataclass
class Project:
    """A *folder* that is deployed below *above* on a host, reached by *port*; *home* belongs to who deploys.

    *name* is what ssh calls the host.
    """

    folder: Path
    above: Path
    sshd: Sshd
    port: int
    name: str = "127.0.0.1"

    @property
    def home(self) -> Path:
        """Its ~/.ssh/config names the key and the known hosts."""
        home = self.folder.parent / "home"
        if not (home / ".ssh").is_dir():
            (home / ".ssh").mkdir(parents=True)
            (home / ".ssh" / "config").write_text(self.sshd.ssh_config.read_text())
        return home

    @property
    def environ(self) -> dict[str, str]:
        """What the commands find."""
        return environ(self.home)


def run(project: Project, *words: str, here: Path | None = None) -> None:
    """Run a command to its end; raises `RuntimeError` with what it said when it fails."""
    done = subprocess.run(
        words, cwd=here or project.folder, env=project.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


class Subject(Protocol):
    """What they have in common."""

    name: str

    def ready(self) -> None:
        """What has to be done on both sides before a first deploy; not measured."""

    def changed(self) -> None:
        """What has to be done once the site has changed, and before it is deployed; not measured."""

    def deploy(self, *, force: bool = False) -> None:
        """Make the folder as it is live."""

    def rollback(self) -> None:
        """Make live what was live before."""


@dataclass
class Ours:
    """This project, as its console program runs."""

    project: Project
    source: str = "folder"
    name: str = "switchover"
    program: tuple[str, ...] = (sys.executable, "-m", "releases")

    @property
    def root(self) -> Path:
        """On the host."""
        return self.project.above / "ours"

    def ready(self) -> None:
        """A root, and a deploy.toml with nothing but what it must have."""
        self.root.mkdir(parents=True, exist_ok=True)
        (self.project.folder / "deploy.toml").write_text(
            f'app = "shop"\nroot = "{self.root}"\n'
            f'[hosts.prod]\nssh = ["{self.project.sshd.user}@127.0.0.1:{self.project.port}"]\n'
            f'[build]\nsource = "{self.source}"\nexclude = ["deploy.toml"]\n'
        )

    def changed(self) -> None:
        """Nothing: it ships the folder."""

    def deploy(self, *, force: bool = False) -> None:
        """``switchover deploy``."""
        self.command("deploy", *(["--force"] if force else []))

    def rollback(self) -> None:
        """``switchover rollback``."""
        self.command("rollback")

    def command(self, *words: str) -> None:
        """Any command."""
        run(self.project, *self.program, *words)


@dataclass
class Script:
    """``rsync --link-dest`` over one ssh, ``ln`` and ``mv -T`` over another: what many teams have."""

    project: Project
    name: str = "rsync script"
    made: list[str] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """On the host."""
        return self.project.above / "script"

    def ready(self) -> None:
        """Directories."""
        (self.root / "releases").mkdir(parents=True, exist_ok=True)

    def changed(self) -> None:
        """Nothing: it ships the folder."""

    def deploy(self, *, force: bool = False) -> None:
        """As it is always done: it does not see that nothing has changed."""
        release = f"{len(self.made):06}"
        base = [f"--link-dest={self.root}/releases/{self.made[-1]}/"] if self.made else []
        far = f"{self.project.sshd.user}@{self.project.name}:{self.root}/releases/{release}/"
        ssh = f"ssh -p {self.project.port} -F {self.project.home}/.ssh/config"
        run(self.project, "rsync", "-a", "-e", ssh, *base, "--exclude=/deploy.toml", "--exclude=/.git", "./", far)
        self.made.append(release)
        self._link(release)

    def rollback(self) -> None:
        """The link alone."""
        self.made.pop()
        self._link(self.made[-1])

    def _link(self, release: str) -> None:
        command = f"cd {self.root} && ln -sfn releases/{release} next && mv -T next current"
        ssh = ("ssh", "-p", str(self.project.port), "-F", f"{self.project.home}/.ssh/config")
        run(self.project, *ssh, f"{self.project.sshd.user}@{self.project.name}", command)


CAPFILE = 'require "capistrano/setup"\nrequire "capistrano/deploy"\nrequire "capistrano/scm/git"\n'
CAPFILE += "install_plugin Capistrano::SCM::Git\n"


@dataclass
class Capistrano:
    """Its default flow with its git plugin; the repository lies on the host itself, so that fetching costs no line."""

    project: Project
    name: str = "Capistrano"

    @property
    def here(self) -> Path:
        """Where its Capfile is."""
        return self.project.folder.parent / "cap"

    @property
    def origin(self) -> Path:
        """What it clones."""
        return self.project.above / "origin.git"

    def ready(self) -> None:
        """A repository and a Capfile."""
        (self.here / "config" / "deploy").mkdir(parents=True, exist_ok=True)
        (self.here / "Capfile").write_text(CAPFILE)
        (self.here / "config" / "deploy.rb").write_text(
            f'set :application, "shop"\nset :repo_url, "file://{self.origin}"\nset :branch, "main"\n'
            f'set :deploy_to, "{self.project.above}/cap"\nset :format, :dot\n'
        )
        keys = f'keys: ["{self.project.sshd.identity}"], user_known_hosts_file: "{self.project.sshd.known_hosts}"'
        (self.here / "config" / "deploy" / "production.rb").write_text(
            f'server "127.0.0.1", user: "{self.project.sshd.user}", port: {self.project.port}, roles: %w[app], '
            f"ssh_options: {{ {keys}, keys_only: true, config: false }}\n"
        )
        if not self.origin.exists():
            self.project.above.mkdir(parents=True, exist_ok=True)
            run(self.project, "git", "init", "-q", "--bare", "-b", "main", str(self.origin))
            run(self.project, "git", "init", "-q", "-b", "main", ".")
        self.changed()

    def changed(self) -> None:
        """Commit and push."""
        author = ("-c", "user.name=bench", "-c", "user.email=bench@example.com")
        run(self.project, "git", "add", "-A")
        run(self.project, "git", *author, "commit", "-q", "--allow-empty", "-m", "changed")
        run(self.project, "git", "push", "-q", str(self.origin), "main")

    def deploy(self, *, force: bool = False) -> None:
        """``cap production deploy``."""
        run(self.project, "cap", "production", "deploy", here=self.here)

    def rollback(self) -> None:
        """``cap production deploy:rollback``."""
        run(self.project, "cap", "production", "deploy:rollback", here=self.here)
