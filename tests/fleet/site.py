"""The Wagtail example in a git repository of a test, deployed to a systemd host."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.app import REPOSITORY, App
from tests.lab import Host

EXAMPLE = REPOSITORY / "examples" / "wagtail"
BREAKAGES = {
    "cannot import": ("shop/wsgi.py", "raise ImportError('nothing here')\n"),
    "answers 500": ("shop/views.py", "def health(request):\n    raise RuntimeError('broken')\n"),
}


@dataclass
class Site(App):
    """The example as it stands, but for its address, and for wheels that were fetched once for all releases."""

    host: Host | None = None

    def commit(self, message: str, **files: str) -> None:
        """Change files of the project, and commit."""
        for path, text in files.items():
            (self.folder / path).write_text(text)
        git = ("git", "-C", str(self.folder), "-c", "user.name=ana", "-c", "user.email=ana@example.com")
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", message], check=True)

    def broken(self, how: str) -> dict[str, str]:
        """The file that breaks the site in this way, for `commit`."""
        path, more = BREAKAGES[how]
        return {path: (self.folder / path).read_text() + "\n\n" + more}

    def mended(self, how: str) -> dict[str, str]:
        """The file as the example has it."""
        path = BREAKAGES[how][0]
        return {path: (EXAMPLE / path).read_text()}

    def begin(self, wheels: Path, *, listen: str) -> None:
        """Copy the example, and write its deploy.toml for the host."""
        shutil.rmtree(self.folder)
        shutil.copytree(EXAMPLE, self.folder)
        deploy = self.folder / "deploy.toml"
        fetch = next(line for line in deploy.read_text().splitlines() if line.startswith('command = "python3 -m pip'))
        text = deploy.read_text().replace(fetch, f'command = "cp -r {wheels} wheels"')
        text = text.replace("deploy@shop.example.com", self.address).replace("127.0.0.1:8000", listen)
        deploy.write_text(text)
        subprocess.run(["git", "init", "-q", str(self.folder)], check=True)
        self.commit("Begin")


def fetched(wheels: Path) -> Path:
    """Fetch what the example needs into *wheels*, as its own build command does."""
    requirements = str(EXAMPLE / "requirements.txt")
    words = [
        "pip",
        "download",
        "-q",
        "--only-binary=:all:",
        "--python-version",
        "3.11",
        "-d",
        str(wheels),
        "-r",
        requirements,
    ]
    subprocess.run([sys.executable, "-m", *words], check=True)
    return wheels
