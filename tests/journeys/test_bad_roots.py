"""A root that is not as it must be, or that somebody has changed by hand: refused with what helps, or mended."""

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.app import App
from tests.refusal import hinted, refused, told
from tests.sshd import Sshd

pytestmark = pytest.mark.journey

# Without these capabilities not even root may write where the permissions say so.
WITHOUT = "--bounding-set=-dac_override,-dac_read_search --inh-caps=-all"
POWERLESS = f'ForceCommand exec setpriv {WITHOUT} /bin/sh -c "$SSH_ORIGINAL_COMMAND"' if os.geteuid() == 0 else ""


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    """One whose account is bound by permissions, whoever runs the tests."""
    with Sshd(config=POWERLESS) as running:
        yield running


def test_a_root_that_is_missing_is_told_with_what_makes_it(app: App, sshd: Sshd) -> None:
    """Setup does; a plan says how root would."""
    app.write("v1")
    app.root.rmdir()
    host = app.address.partition("@")[2]
    refused(app, "deploy", says=(host, f"{app.root} does not exist"), hint="`inv setup` makes it")
    refused(app, "plan", says=(host, f"{app.root} does not exist"), hint=f"sudo install -d -o {sshd.user}")
    refused(app, "rollback", says=(host, f"{app.root} does not exist"), hint="`inv setup`")
    assert app.run("setup").code == 0
    app.deploy("v1")


def test_a_root_that_is_a_file_is_told(app: App) -> None:
    """By all that would need a directory."""
    app.write("v1")
    app.root.rmdir()
    app.root.write_text("precious")
    for command in ("deploy", "plan", "setup"):
        refused(app, command, says=("127.0.0.1:", f"{app.root} is a file"), hint="another root in deploy.toml")


def test_a_root_that_the_account_may_not_write_is_told_with_the_account(app: App, sshd: Sshd) -> None:
    """Before and after a first deploy."""
    app.write("v1")
    app.root.chmod(0o555)
    says = ("127.0.0.1:", sshd.user, str(app.root))
    refused(app, "deploy", says=(*says, "Permission denied"), hint=f"sudo chown -R {sshd.user} {app.root}")
    refused(app, "plan", says=(*says, "may not write"), hint=f"sudo install -d -o {sshd.user} {app.root}")
    app.root.chmod(0o755)
    app.deploy("v1")
    app.write("v2")
    app.root.chmod(0o555)
    refused(app, "deploy", says=(*says, "may not write"), hint="sudo install -d")
    app.root.chmod(0o755)


def test_a_directory_of_ours_that_is_not_writable_fails_before_the_switch(app: App) -> None:
    """With the reason that tar gave, not with its last line."""
    app.deploy("v1")
    app.write("v2")
    (app.root / "releases").chmod(0o555)
    told(app.run("deploy"), code=11, says=("127.0.0.1:", "send failed", "tar: ", "Permission denied"))
    (app.root / "releases").chmod(0o755)
    assert app.live == "v1"
    app.deploy("v2")


@pytest.mark.parametrize("found", ["directory", "file", "elsewhere", "nowhere"])
def test_a_current_that_is_not_ours_is_left_alone(app: App, found: str) -> None:
    """The hint moves it away, and the next deploy works; status shows it, too."""
    app.write("v1")
    current = app.root / "current"
    if found == "directory":
        current.mkdir()
    elif found == "file":
        current.write_text("precious")
    else:
        current.symlink_to({"elsewhere": "/etc", "nowhere": "releases/nope"}[found])
    why = "points to" if current.is_symlink() else "is not a link"
    for command in ("deploy", "rollback"):
        result = refused(app, command, says=("127.0.0.1:", str(current), why), hint=f"mv {current} ")
    assert f"current {why}" in app.run("status").out
    subprocess.run(hinted(result).partition(": ")[2], shell=True, check=True)
    app.deploy("v1")
    assert app.live == "v1"


def remove(app: App, name: str) -> None:
    """By hand, as somebody who is short of space."""
    subprocess.run(f"rm -rf {shlex.quote(str(app.root / 'releases' / name))}", shell=True, check=True)


def test_a_release_removed_by_hand_is_no_target(app: App) -> None:
    """A plain rollback passes over it."""
    for version in ("v1", "v2", "v3"):
        app.deploy(version)
    second = app.releases[1]
    remove(app, second)
    refused(
        app, "rollback", "--to", second, says=("127.0.0.1:", f"no complete release {second}"), hint="`inv releases`"
    )
    assert app.run("rollback").code == 0
    assert app.live == "v1"


def test_a_live_release_removed_by_hand_is_shown_and_replaced(app: App) -> None:
    """By the next deploy, even of the same, and by a rollback."""
    app.deploy("v1")
    app.deploy("v2")
    remove(app, app.releases[-1])
    assert "is missing on disk" in app.run("status").out
    app.deploy("v2")
    assert app.live == "v2"
    remove(app, app.releases[-1])
    assert app.run("rollback").code == 0
    assert app.live == "v1"


def cut(journal: Path) -> None:
    """Leave half of the last line, as a full disk does."""
    journal.write_bytes(journal.read_bytes()[:-20])


def zero(journal: Path) -> None:
    """Leave zeros and rubbish, as a power cut does."""
    journal.write_bytes(
        journal.read_bytes() + b'\0\0\0\xff\n[]\n7\n{"event":[]}\n{"event":"live","release":7,"deploy":"x"}\n'
    )


@pytest.mark.parametrize("damage", [cut, zero, Path.unlink])
def test_a_damaged_journal_costs_no_release_and_no_rollback_after_it(app: App, damage: Callable[[Path], None]) -> None:
    """P6: what it can't judge is spared."""
    for version in ("v1", "v2"):
        app.deploy(version)
    before = set(app.releases)
    damage(app.root / ".switchover" / "journal.jsonl")
    for version in ("v3", "v4"):
        app.deploy(version)
    assert before < set(app.releases)
    assert app.run("rollback").code == 0
    assert app.live == "v3"


def test_one_root_under_two_names_is_refused(app: App) -> None:
    """Whether a lock is needed or not: neither waits for itself."""
    alias = app.root.with_name("alias")
    alias.symlink_to(app.root)
    file = app.folder / "deploy.toml"
    file.write_text(f'{file.read_text()}[hosts.other]\nssh = ["{app.address}"]\nroot = "{alias}"\n')
    app.write("v1")
    for words in (("deploy", "--wait", "60s"), ("status",)):
        says = (f":{app.root}", f":{alias}", " are one root on one machine")
        refused(app, *words, "--host", "prod,other", says=says, hint="once")


def test_the_root_of_another_application_is_refused(app: App) -> None:
    """Whose releases would be pruned; who renames an application says so. Old roots say nothing, and are taken."""
    app.deploy("v1")
    config = app.folder / "deploy.toml"
    config.write_text(config.read_text().replace('app = "shop"', 'app = "other"'))
    owner = app.root / ".switchover" / "app"
    says = ("127.0.0.1:", f"{app.root} is the root of shop, not of other")
    app.write("v2")
    for command in (["deploy"], ["plan"], ["rollback"], ["prune"], ["prune", "--dry-run"], ["setup"]):
        refused(app, *command, says=says, hint=f"remove {owner} on the host")
    assert says[1] in app.run("status").out
    owner.unlink()
    app.deploy("v2")
    assert owner.read_text() == "other\n"
