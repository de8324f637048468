"""A host without a tool, with a clock that is wrong, or a disk that is full."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app import App
from tests.conftest import require
from tests.refusal import refused, told
from tests.sshd import Sshd, toolbox

pytestmark = pytest.mark.journey

NEEDED = (
    *(
        "sh",
        "setsid",
        "timeout",
        "flock",
        "tar",
        "gzip",
        "sha256sum",
        "base64",
        "cat",
        "head",
        "tail",
        "cut",
        "tr",
    ),
    *(
        "sed",
        "grep",
        "awk",
        "sort",
        "paste",
        "wc",
        "find",
        "xargs",
        "ls",
        "stat",
        "readlink",
        "mkdir",
        "chmod",
        "cp",
        "mv",
    ),
    *("ln", "rm", "date", "df", "id", "uname", "getconf", "sleep", "sync"),
)


def has_only(path: Path, *tools: str) -> Sshd:
    """An sshd on a host that has these tools only; its shell reads no profile that would add more."""
    return Sshd(force_shell="dash", environment={"PATH": str(toolbox(path / "tools", *tools)), "HOME": str(path)})


def use(app: App, sshd: Sshd) -> None:
    """Deploy over this sshd."""
    (app.home / ".ssh" / "config").write_text(sshd.ssh_config.read_text())
    app.address = sshd.address
    app.configure()


@pytest.mark.parametrize(
    "lacking", ["flock", "setsid", "timeout", "base64", "tar", "gzip", "sha256sum", "awk", "xargs"]
)
def test_a_host_without_a_tool_is_told_by_the_name_of_the_tool(app: App, tmp_path: Path, lacking: str) -> None:
    """Before anything is sent."""
    with has_only(tmp_path, *(tool for tool in NEEDED if tool != lacking)) as bare:
        use(app, bare)
        app.write("v1")
        refused(app, "deploy", says=(f"127.0.0.1:{bare.port}", f"has no {lacking}"), hint="install")


def test_a_host_that_can_ask_nothing_is_refused_only_where_a_health_is_configured(app: App, tmp_path: Path) -> None:
    """It needs none of curl, python3 and perl for a site that is never asked."""
    with has_only(tmp_path, *NEEDED) as bare:
        use(app, bare)
        app.deploy("v1")
        app.write("v2")
        app.configure('[health]\nurl = "http://127.0.0.1:9/"\n')
        refused(app, "deploy", says=("127.0.0.1:", "can ask a health URL"), hint="curl, python3 or perl")


def test_a_clock_that_is_an_hour_wrong_changes_no_order(app: App, tmp_path: Path) -> None:
    """The order is that of the journal; the plan says how wrong the clock is."""
    off, bin = tmp_path / "off", tmp_path / "bin"
    bin.mkdir()
    (bin / "date").write_text(f'#!/bin/sh\nexec {shutil.which("date")} -d "$(cat {off})" "$@"\n')
    (bin / "date").chmod(0o755)
    environment = {"PATH": f"{bin}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    with Sshd(force_shell="dash", environment=environment) as wrong:
        use(app, wrong)
        for version, clock in (("v1", "+1 hour"), ("v2", "-1 hour"), ("v3", "now")):
            off.write_text(clock)
            said = app.deploy(version).err
            assert ("its clock is " in said) == (clock != "now")
        for version in ("v2", "v1"):
            off.write_text("-1 hour")
            assert app.run("rollback").code == 0
            assert app.live == version
        app.deploy("v4")
        assert app.run("rollback").code == 0
        assert app.live == "v1"


@pytest.fixture
def disk(app: App) -> Iterator[Path]:
    """The root is a disk of 2 MB."""
    require("" if os.geteuid() == 0 else "a small disk is mounted: run as root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", app.root], capture_output=True, text=True
    )
    require(mounted.stderr)
    yield app.root
    subprocess.run(["umount", "-l", app.root], check=True)


def test_what_would_not_fit_is_refused_before_anything_is_sent(app: App, disk: Path) -> None:
    """Bytes, and inodes."""
    app.deploy("v1")
    big = app.folder / "big"
    big.write_bytes(os.urandom(3_000_000))
    refused(app, "deploy", says=("127.0.0.1:", "are needed", "MB are free", str(app.root)), hint="`inv prune`")
    refused(app, "plan", says=("are needed",), hint="`inv prune`")
    big.unlink()
    subprocess.run(["mount", "-o", "remount,nr_inodes=80", disk], check=True)
    (app.folder / "many").mkdir()
    for number in range(80):
        (app.folder / "many" / str(number)).touch()
    refused(app, "deploy", says=("127.0.0.1:", "inodes are needed"), hint="`inv prune`")


def test_a_disk_that_fills_while_it_is_written_to_switches_nothing(app: App, disk: Path, tmp_path: Path) -> None:
    """A quota allows less than the file system says; once there is space, the next deploy needs no clean-up."""
    bin = tmp_path / "bin"
    bin.mkdir()
    lies = f'#!/bin/sh\n[ "$1" != -f ] || {{ echo 9000000 1024 9000000; exit; }}\nexec {shutil.which("stat")} "$@"\n'
    (bin / "stat").write_text(lies)
    (bin / "stat").chmod(0o755)
    environment = {"PATH": f"{bin}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    with Sshd(force_shell="dash", environment=environment) as lying:
        use(app, lying)
        app.deploy("v1")
        (app.folder / "big").write_bytes(os.urandom(3_000_000))
        app.write("v2")
        says = ("127.0.0.1:", "send failed", "No space left on device")
        told(app.run("deploy"), code=11, says=says, hint="`inv prune`")
        assert app.live == "v1"
        subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
        app.deploy("v2")
        assert app.live == "v2"
        assert len(app.releases) == 2
