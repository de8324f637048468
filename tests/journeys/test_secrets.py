"""P9: values that only some processes may know are seen nowhere else."""

import json
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app import App
from tests.reader import Looker
from tests.sshd import Sshd

pytestmark = pytest.mark.journey

HERE, THERE, OURS = "sentinel-of-the-controller", "sentinel-in-dot-env", "sentinel-of-a-hook"
SENTINELS = (HERE, THERE, OURS)
MORE = """
[shared]
files = [".env"]
[prepare]
commands = [". ../../shared/.env; export PASSWORD; env >/dev/null; sleep 0.3"]
[migrations]
kind = "command"
pending = ". ../../shared/.env; test -n \\"$PASSWORD\\""
expand = ". ../../shared/.env; test -n \\"$PASSWORD\\""
[hooks]
before_switch = [". ../../shared/.env; export PASSWORD; TOKEN=$(cat ../../shared/token) sh -c 'sleep 0.3; test $TOKEN'"]
after_switch = [". ../../shared/.env; test -n \\"$PASSWORD\\""]
[hooks.local]
before_switch = ["test -n \\"$PASSWORD\\""]
"""


class Sampler(Looker):
    """Reads the command line of every process of this machine, all the time."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.lines = 0

    def look(self) -> None:
        """All that run in this moment."""
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                line = Path(f"/proc/{name}/cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            self.lines += "TOKEN=" in line
            self.found |= {line for sentinel in SENTINELS if sentinel in line}


@pytest.fixture
def secret(app: App) -> Iterator[App]:
    """An application whose commands need what is in shared/.env and in shared/token."""
    (app.root / "shared").mkdir(parents=True)
    (app.root / "shared" / ".env").write_text(f"PASSWORD={THERE}\n")
    (app.root / "shared" / "token").write_text(OURS)
    app.environment |= {"PASSWORD": HERE, "DATABASE_URL": f"postgres://shop:{HERE}@db/shop"}
    app.configure(MORE)
    return app


def leaks(root: Path) -> list[str]:
    """The files below *root* in which a sentinel is, unpacked where they are packed."""
    found = []
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            data += zlib.decompress(data, wbits=31) if data.startswith(b"\x1f\x8b") else b""
            found += [f"{path}: {sentinel}" for sentinel in SENTINELS if sentinel.encode() in data]
    return found


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_secrets_are_in_no_output_no_file_and_no_argument(secret: App, form: tuple[str, ...], sshd: Sshd) -> None:
    """Of any command, while deploys go well and while one fails."""
    said = []
    with Sampler() as sampler:
        for version in ("v1", "v2"):
            secret.write(version)
            for words in (("deploy", "--dry-run"), ("deploy",)):
                result = secret.run(*words, *form)
                assert result.code == 0, result.err
                said.append(result)
        for words in (
            ("rollback", "--dry-run"),
            ("rollback",),
            ("status",),
            ("releases",),
            ("ps",),
            ("doctor",),
            ("verify",),
        ):
            said.append(secret.run(*words, *form))
        secret.configure(MORE.replace("after_switch = [", 'after_switch = ["false", '))
        secret.write("v3")
        said.append(secret.run("deploy", *form))
        assert said[-1].code == 12
    assert [text for result in said for text in (result.out, result.err) for s in SENTINELS if s in text] == []
    assert sampler.lines, "the hook was never seen"
    assert sampler.found == set()
    assert len(leaks(secret.root / "shared")) == 2, "what is there is found"
    assert leaks(secret.root / ".switchover") == []
    assert leaks(secret.root / "releases") == []
    assert leaks(secret.home / ".cache") == []


def test_a_session_has_no_secret_of_the_controller_in_its_environment(secret: App, sshd: Sshd) -> None:
    """What runs on the host, the user's own command, too, sees nothing of who deploys."""
    secret.write("v1")
    process = secret.start("deploy")
    seen = set()
    while process.poll() is None:
        for pid in sshd.processes():
            try:
                environment = Path(f"/proc/{pid}/environ").read_bytes()
            except OSError:
                continue
            seen.add(HERE.encode() in environment)
        time.sleep(0.01)
    process.communicate()
    assert process.returncode == 0
    assert seen == {False}


def test_the_holder_of_a_lock_is_told_without_secrets(secret: App) -> None:
    """lock.info has who, where, since when, and the number of the process."""
    secret.write("v1")
    assert secret.run("deploy", environment={"CI_JOB_URL": "https://ci/1", "CI_JOB_TOKEN": HERE}).code == 0
    info = json.loads((secret.root / ".switchover" / "lock.info").read_text())
    assert set(info) <= {"who", "place", "since", "ci", "mark", "pid"}
