"""Nothing in an artifact leaves the folder it is unpacked into."""

import gzip
import io
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from releases.archive import unpack
from releases.errors import Refused

Change = dict[str, object]


def tar_gz(path: Path, *members: tuple[str, Change], content: bytes = b"hello") -> Path:
    """An archive of *members*: a name and what its header says; files hold *content*."""
    with tarfile.open(path, "w:gz", encoding="utf-8", errors="surrogateescape") as archive:
        for name, header in members:
            info = tarfile.TarInfo(name)
            for key, value in header.items():
                setattr(info, key, value)
            info.size = len(content) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(content))
    return path


def zipped(path: Path, *members: tuple[str, int, bytes]) -> Path:
    """An archive of *members*: name, mode with type, content."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, mode, content in members:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, mode << 16
            archive.writestr(info, content)
    return path


def link(target: str) -> Change:
    return {"type": tarfile.SYMTYPE, "linkname": target}


def hard_link(target: str) -> Change:
    return {"type": tarfile.LNKTYPE, "linkname": target}


def folder(mode: int = 0o755) -> Change:
    return {"type": tarfile.DIRTYPE, "mode": mode}


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """Where to unpack, in a folder of its own, so that what leaves it is seen."""
    (tmp_path / "around").mkdir()
    return tmp_path / "around" / "into"


ESCAPES: dict[str, tuple[tuple[str, Change], ...]] = {
    "an absolute path": (("/tmp/switchover-escaped", {}),),
    "a path above": (("../escaped", {}),),
    "a path above, on the way": (("a/../../escaped", {}),),
    "a folder above": (("..", folder()),),
    "an absolute link": (("bad", link("/etc")),),
    "a link above": (("a/bad", link("../../escaped")),),
    "a link above by another link": (("a/b/c", link("../..")), ("bad", link("a/b/c/.."))),
    "a file through a link": (("l", link("a")), ("a", folder()), ("l/escaped", {})),
    "a file over a link": (("l", link("a")), ("l", {})),
    "a folder over a link": (("l", link("a")), ("l", folder())),
    "a hard link outside": (("bad", hard_link("../../../etc/passwd")),),
    "an absolute hard link": (("bad", hard_link("/etc/passwd")),),
    "a hard link to a link": (("l", link("a")), ("bad", hard_link("l"))),
    "a hard link through a link": (("a/f", {}), ("l", link("a")), ("bad", hard_link("l/f"))),
    "a hard link to itself": (("f", {}), ("f", hard_link("f"))),
    "a fifo": (("bad", {"type": tarfile.FIFOTYPE}),),
    "a device": (("bad", {"type": tarfile.CHRTYPE}),),
    "a disk": (("bad", {"type": tarfile.BLKTYPE}),),
    "a type nobody knows": (("bad", {"type": b"Z"}),),
    "a name that is too long": (("x" * 300, {}),),
    "a path that is too deep": (("d/" * 300 + "f", {}),),
    "a path that is too long": ((f"{'d' * 250}/" * 20 + "f", {}),),
    "a file in a file": (("f", {}), ("f/escaped", {})),
    "a file over a folder": (("d", folder()), ("d", {})),
}


@pytest.mark.parametrize("members", ESCAPES.values(), ids=ESCAPES.keys())
def test_a_member_that_would_leave_is_refused_by_name(members, into: Path):
    """Archive, member and reason are in the one line, and nothing lies outside."""
    archive = tar_gz(into.parent.parent / "build.tar.gz", *members)
    with pytest.raises(Refused) as refused:
        unpack(archive, into)
    assert str(refused.value).startswith("build.tar.gz: ")
    assert repr(members[-1][0]) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert os.listdir(into.parent) == ["into"]
    assert not Path("/tmp/switchover-escaped").exists()


ZIP_ESCAPES = {
    "an absolute path": (("/tmp/switchover-escaped", 0o100644, b""),),
    "a path above": (("../escaped", 0o100644, b""),),
    "an absolute link": (("bad", 0o120777, b"/etc"),),
    "a link above": (("a/bad", 0o120777, b"../../x"),),
    "a file through a link": (("l", 0o120777, b"a"), ("a/", 0o040755, b""), ("l/escaped", 0o100644, b"")),
    "a fifo": (("bad", 0o010644, b""),),
    "a device": (("bad", 0o020644, b""),),
    "a link to nowhere that has a name": (("bad", 0o120777, b"\0"),),
}


@pytest.mark.parametrize("members", ZIP_ESCAPES.values(), ids=ZIP_ESCAPES.keys())
def test_a_zip_is_held_to_the_same(members, into: Path):
    """The format makes no difference."""
    archive = zipped(into.parent.parent / "build.zip", *members)
    with pytest.raises(Refused, match=r"build\.zip: ") as refused:
        unpack(archive, into)
    assert repr(members[-1][0]) in str(refused.value)
    assert os.listdir(into.parent) == ["into"]
    assert not Path("/tmp/switchover-escaped").exists()


NAMES = ("plain", 'it\'s $(a) "b"', "two\nlines", "naïve", "\udcff\udcfe", "..data", "n" * 200, "back\\slash")


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_unpacked_as_it_is(name: str, into: Path):
    """Bytes that are no text included."""
    unpack(tar_gz(into.parent.parent / "a.tgz", (f"top/{name}", {})), into)
    assert os.listdir(into / "top") == [name]


def test_links_inside_work(into: Path):
    """Symbolic ones stay what they are; hard ones share their file."""
    archive = tar_gz(
        into.parent.parent / "a.tar.gz",
        ("./", folder()),
        ("./bin/tool", {"mode": 0o755}),
        ("./tool", link("bin/tool")),
        ("./lib/up", link("../bin")),
        ("./lib/twin", hard_link("./bin/tool")),
        ("./dangling", link("later")),
    )
    unpack(archive, into)
    assert os.readlink(into / "tool") == "bin/tool"
    assert (into / "lib/up/tool").read_bytes() == b"hello"
    assert (into / "lib/twin").samefile(into / "bin/tool")
    assert os.readlink(into / "dangling") == "later"


def test_permissions_are_kept_and_special_bits_dropped(into: Path):
    """Nothing unpacked runs as somebody else, and a folder may be read-only."""
    archive = tar_gz(
        into.parent.parent / "a.tar.gz",
        ("d", folder(0o1555)),
        ("d/setuid", {"mode": 0o6755}),
        ("d/secret", {"mode": 0o600}),
        ("implied/f", {"mode": 0o040}),
    )
    unpack(archive, into)
    modes = {str(path.relative_to(into)): path.stat().st_mode & 0o7777 for path in into.rglob("*")}
    assert modes == {
        "d": 0o755,
        "d/setuid": 0o755,
        "d/secret": 0o600,
        "implied": 0o755,
        "implied/f": 0o440,
    }


def test_the_last_of_two_files_with_one_name_counts(into: Path):
    """As with tar; and a hard link made between them keeps the first."""
    with tarfile.open(into.parent.parent / "a.tar.gz", "w:gz") as archive:
        for name, content in (("f", b"1"), ("twin", None), ("f", b"22")):
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.LNKTYPE, "f"
            info.size = len(content or b"")
            archive.addfile(info, io.BytesIO(content or b""))
    unpack(into.parent.parent / "a.tar.gz", into)
    assert ((into / "f").read_bytes(), (into / "twin").read_bytes()) == (b"22", b"1")


def test_a_zip_keeps_modes_links_and_empty_folders(into: Path):
    """As Info-ZIP wrote them on Unix."""
    source = into.parent.parent / "source"
    (source / "empty").mkdir(parents=True)
    (source / "run").write_bytes(b"#!/bin/sh\n")
    (source / "run").chmod(0o755)
    (source / "link").symlink_to("run")
    (source / os.fsdecode(b"\xc3\xa9 caf\xe9")).write_bytes(b"latin")
    with zipfile.ZipFile(into.parent.parent / "plain.zip", "w") as archive:
        archive.writestr("no mode", b"")
        archive.infolist()[0].external_attr = 0
    unpack(into.parent.parent / "plain.zip", into)
    assert (into / "no mode").stat().st_mode & 0o777 == 0o644
    if not shutil.which("zip"):
        pytest.skip("apt-get install zip")
    subprocess.run(["zip", "-qry", "../made.zip", "."], cwd=source, check=True)
    unpack(into.parent.parent / "made.zip", into)
    assert (into / "run").stat().st_mode & 0o777 == 0o755
    assert os.readlink(into / "link") == "run"
    assert (into / "empty").is_dir()
    assert os.fsdecode(b"\xc3\xa9 caf\xe9") in os.listdir(into)


def noise() -> bytes:
    return os.urandom(200_000)


def good_tar(path: Path) -> Path:
    return tar_gz(path / "a.tar.gz", ("f", {}), ("g", {}), content=noise())


def good_zip(path: Path) -> Path:
    return zipped(path / "a.zip", ("f", 0o100644, noise()), ("g", 0o100644, noise()))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.99, 0.99999])
@pytest.mark.parametrize("good", [good_tar, good_zip])
def test_a_cut_archive_is_refused(good: Callable[[Path], Path], share: float, tmp_path: Path):
    """Half an artifact is never shipped as a whole one."""
    archive = good(tmp_path)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(Refused, match=rf"{archive.name} is broken: "):
        unpack(archive, tmp_path / "into")


@pytest.mark.parametrize("good", [good_tar, good_zip])
def test_one_wrong_bit_is_noticed(good: Callable[[Path], Path], tmp_path: Path):
    """Check sums are read to the end."""
    archive = good(tmp_path)
    damaged = bytearray(archive.read_bytes())
    damaged[len(damaged) // 3] ^= 0x10
    archive.write_bytes(damaged)
    with pytest.raises(Refused, match=r"is broken"):
        unpack(archive, tmp_path / "into")


def test_a_header_that_is_damaged_is_not_the_end(tmp_path: Path):
    """tarfile stops there without a word; what follows would be missing."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name in ("first", "second", "third"):
            archive.addfile(tarfile.TarInfo(name))
    blocks = bytearray(plain.getvalue())
    blocks[512:520] = b"damaged!"
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(bytes(blocks)))
    with pytest.raises(Refused, match="is broken: there is something after its end"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "into")


@pytest.mark.parametrize(("name", "why"), [("a.rar", "not an artifact"), ("a.tar.gz", "no such artifact")])
def test_what_is_no_artifact_is_refused(name: str, why: str, tmp_path: Path):
    """By its name, or for not being there."""
    with pytest.raises(Refused, match=why):
        unpack(tmp_path / name, tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_an_encrypted_zip_is_refused(tmp_path: Path):
    """Nobody is asked for a password in the middle of a deploy."""
    if not shutil.which("zip"):
        pytest.skip("apt-get install zip")
    (tmp_path / "f").write_bytes(b"hello")
    subprocess.run(["zip", "-qP", "password", "a.zip", "f"], cwd=tmp_path, check=True)
    with pytest.raises(Refused, match="'f' is encrypted"):
        unpack(tmp_path / "a.zip", tmp_path / "into")
