"""verify: a complete release against its manifest, whatever its files are called."""

import os
from pathlib import Path

import pytest

from releases import steps
from releases.layout import Release
from releases.scripts import render
from tests.scripts.disks import full
from tests.scripts.running import HOSTILE, A, B, Here, Ran
from tests.sshd import toolbox

TOOLS = (
    *("awk", "base64", "cat", "cmp", "cut", "date", "flock", "grep", "gzip", "mkdir", "paste", "printf", "readlink"),
    *("rm", "sed", "setsid", "sha256sum", "sleep", "stat", "sync", "tail", "timeout", "tr", "wc", "xargs"),
)
NAMES = (*HOSTILE, "end\n", "tab\t", "%s", "~", "#x", "a=b", "\x01\x7f", os.fsdecode(b"\xff\xfe latin"))


def verify(here: Here, release: Release) -> Ran:
    """Ask about one release."""
    here.own()
    ran = here.run(steps.verify(here.layout, release))
    assert [path.name for path in here.private.glob("verifying*")] == []
    return ran


@pytest.fixture
def release(account: Here) -> Release:
    """A release with every name we fear, as a file, a link and a folder."""
    directory = account.release(A, {"plain": "x"}, complete=False)
    for name in NAMES:
        (directory / name).write_bytes(os.fsencode(name))
        (directory / f"link {name}").symlink_to(name)
        (directory / f"folder {name}").mkdir()
        (directory / f"folder {name}" / name).write_text("inside")
    (directory / "newline").symlink_to("to a\n")
    (directory / "broken").symlink_to("/nowhere at all")
    return account.complete(directory)


@pytest.fixture
def directory(account: Here, release: Release) -> Path:
    """Where it lies."""
    return account.root / "releases" / release.name


def test_a_release_as_it_was_built_is_whole(account: Here, release: Release, directory: Path) -> None:
    """Newlines, quotes, backslashes, bytes that are no UTF-8; links to nothing; empty folders."""
    ran = verify(account, release)
    assert (ran.code, tuple(ran.answer), ran.err) == (0, (), "")
    assert not list(account.base.rglob("pwned"))


@pytest.mark.parametrize(
    ("tool", "how"),
    [("openssl", "none"), ("openssl", "fails"), ("openssl", "says nothing"), ("cmp", "none"), ("cmp", "fails")],
)
def test_a_tool_only_makes_it_faster(account: Here, release: Release, directory: Path, tool: str, how: str) -> None:
    """Where there is no openssl and no cmp, or one that does not do, each file is looked at one by one."""
    tools = account.base / "tools"
    toolbox(tools, *TOOLS)
    (tools / "sh").symlink_to(account.sh)
    if tool == "cmp":
        (tools / tool).unlink()
    if how != "none":
        (tools / tool).write_text(f"#!/bin/sh\nexit {int(how == 'fails')}\n")
        (tools / tool).chmod(0o755)
    account.path = str(tools)
    assert tuple(verify(account, release).answer) == ()
    (directory / "plain").write_text("y")
    assert tuple(verify(account, release).answer) == (("changed", "plain"),)


def test_what_is_whole_is_not_looked_at_one_by_one(account: Here) -> None:
    """Which takes paste: so that a digest that is written in another way is noticed."""
    files = {f"file-{number}": "x" * 10_000 for number in range(300)}
    release = account.complete(account.release(A, files, complete=False))
    tools = account.base / "tools"
    toolbox(tools, *(tool for tool in TOOLS if tool != "paste"))
    (tools / "sh").symlink_to(account.sh)
    for hasher in ("sha256sum", "openssl"):
        if hasher == "openssl":
            toolbox(tools, hasher)
        account.path = str(tools)
        ran = verify(account, release)
        assert (ran.code, tuple(ran.answer), ran.err) == (0, (), "")


def test_each_difference_is_named_once(account: Here, release: Release, directory: Path) -> None:
    """In the escapes of the manifest, so that one name is one line."""
    (directory / NAMES[0]).write_text("other")
    (directory / "a\nb").unlink()
    (directory / "-rf").chmod(0o755)
    (directory / "newline").unlink()
    (directory / "newline").symlink_to("to a")
    (directory / "link *").unlink()
    (directory / "link *").write_text("no link")
    (directory / "folder *" / "*").unlink()
    (directory / "folder *").rmdir()
    (directory / "plain").unlink()
    (directory / "plain").symlink_to("*")
    assert sorted(verify(account, release).answer) == [
        ("changed", "it\\0047s\\0040\\0044\\0050touch\\0040pwned\\0051\\0040\\0042b\\0042"),
        ("changed", "newline"),
        ("missing", "a\\0012b"),
        ("missing", "folder\\0040\\0052"),
        ("missing", "folder\\0040\\0052/\\0052"),
        ("missing", "link\\0040\\0052"),
        ("missing", "plain"),
        ("mode", "-rf"),
    ]


def test_what_cannot_be_read_is_named_once(account: Here, release: Release, directory: Path) -> None:
    """One such file must not make all behind it look changed."""
    (directory / "back\\slash \\n").chmod(0)
    (directory / "two  words").write_text("other")
    found = sorted(verify(account, release).answer)
    assert found == [("changed", "two\\0040\\0040words"), ("unreadable", "back\\0134slash\\0040\\0134n")]


def test_a_manifest_that_was_changed_or_cut_is_no_proof(account: Here, release: Release) -> None:
    """The release is named after it."""
    packed = account.private / "manifests" / f"{release}.gz"
    packed.write_bytes(packed.read_bytes()[:-20])
    assert ("changed", "(its manifest)") in tuple(verify(account, release).answer)


def test_a_release_of_nothing_but_folders_and_links_is_whole(account: Here) -> None:
    """There is no file to hash."""
    directory = account.release(A, complete=False)
    (directory / "version").unlink()
    (directory / "folder").mkdir()
    (directory / "link").symlink_to("folder")
    assert tuple(verify(account, account.complete(directory)).answer) == ()


@pytest.mark.parametrize("gone", ["manifest", "directory"])
def test_what_is_not_complete_is_not_verified(account: Here, gone: str) -> None:
    """66, and why."""
    directory = account.release(A)
    if gone == "manifest":
        (account.private / "manifests" / f"{A}.gz").unlink()
    else:
        directory.rename(account.base / "elsewhere")
    ran = verify(account, A)
    assert (ran.code, gone in ran.err) == (66, True)


def test_two_may_verify_at_once(here: Here) -> None:
    """`verify` takes no lock, so a deploy may check what it sent at the same time."""
    one, two = ({f"{name}{i}": f"{name} {i}" for i in range(300)} for name in ("a", "b"))
    found = [here.complete(here.release(A, files, complete=False)) for files in (one, two)]
    started = [here.start(here.sh, "-c", render(steps.verify(here.layout, release))) for release in found * 2]
    assert [(process.communicate()[0], process.returncode) for process in started] == [(b"", 0)] * 4


@pytest.mark.skipif(os.geteuid() != 0, reason="a full disk is made by mounting one: run as root")
@pytest.mark.parametrize("inodes", [False, True])
@pytest.mark.parametrize("who", ["verify", "stage", "seal"])
def test_what_a_full_disk_keeps_from_being_compared_is_neither_changed_nor_whole(
    here: Here, who: str, inodes: bool
) -> None:
    """P12: 73, and what is in the way."""
    with full(here.root) as fill:
        for part in ("releases", ".switchover/manifests"):
            (here.root / part).mkdir(parents=True)
        release = here.complete(here.release(A, {f"file {number}": "x" for number in range(300)}, complete=False))
        manifests = here.private / "manifests"
        if who == "seal":
            (manifests / f"{release}.gz").rename(manifests / f".{release}.gz")
        fill(inodes=inodes)
        step = {
            "verify": steps.verify(here.layout, release),
            "stage": here.step("stage", release=B, base=release),
            "seal": steps.seal(here.layout, release, again=True),
        }[who]
        ran = here.run(step)
        assert (ran.code, tuple(ran.answer)) == (73, ()), ran.err
        assert "verify: the lists of what is there cannot be written" in ran.err
        assert "o space left on device" in ran.err
