"""What travels is what the manifest says, and what a host has already does not travel."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from releases.build import Build
from releases.errors import Refused
from releases.manifest import FILE, FOLDER, LINK, difference
from releases.payload import Built, stream
from tests.payloads import NEW, OLD, TARS, built, extract, packed

HOSTILE = (
    'it\'s $(a) "b"',
    "two\nlines",
    "back\\slash",
    "naïve",
    os.fsdecode(b"\xff\xfe"),
    "-rf",
    "..data",
    "*",
    " space ",
    "n" * 100,
    "n" * 101,
    "m" * 255,
    os.fsdecode(b"\xe9" * 120),
    "/".join(["deep" * 20] * 8),
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with everything that is hard."""
    top = tmp_path / "tree"
    for name in HOSTILE:
        file = top / "files" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.fsencode(name) * 3)
        (top / "folders" / name).mkdir(parents=True, exist_ok=True)
        (top / "links" / name).parent.mkdir(parents=True, exist_ok=True)
        (top / "links" / name).symlink_to(os.path.relpath(file, (top / "links" / name).parent))
    (top / "run").write_bytes(b"#!/bin/sh\n")
    (top / "run").chmod(0o755)
    (top / "secret").write_bytes(b"x")
    (top / "secret").chmod(0o640)
    (top / "empty").write_bytes(b"")
    (top / "big").write_bytes(os.urandom(700_001))
    (top / "closed").mkdir()
    (top / "closed" / "f").write_bytes(b"inside")
    (top / "closed").chmod(0o555)
    return top


def seen(top: Path) -> dict[str, tuple[int, str]]:
    """Mode, and digest or target, of everything below *top*."""

    def walk(folder: Path) -> Iterator[Path]:
        for entry in os.scandir(folder):
            yield Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                yield from walk(Path(entry.path))

    facts = {}
    for path in walk(top):
        mode, content = path.lstat().st_mode, "-"
        if path.is_symlink():
            content = hashlib.sha256(os.fsencode(os.readlink(path))).hexdigest()
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        facts[str(path.relative_to(top))] = (mode, content)
    return facts


def promised(build: Build) -> dict[str, tuple[int, str]]:
    """The same of a manifest, as it should lie on a host."""
    more = {FILE: lambda mode: mode & ~0o222, FOLDER: lambda mode: mode | 0o700, LINK: lambda mode: mode}
    records = {"RELEASE": b"{}\n", ".manifest.gz": build.manifest.packed()}
    ours = {path: (FILE | 0o644, hashlib.sha256(content).hexdigest()) for path, content in records.items()}
    return {e.path: (more[e.kind](e.mode), e.sha256) for e in build.manifest.entries} | ours


@pytest.mark.parametrize("packs", [True, False], ids=["compressed", "as it is"])
@pytest.mark.parametrize("tar", TARS, ids=" ".join)
def test_a_host_unpacks_exactly_the_manifest(tar: tuple[str, ...], tree: Path, tmp_path: Path, packs: bool):
    """Hostile, long and binary names, empty folders, links, modes: all of it, and no more."""
    build = built(tree, {".release/web": b"#!/bin/sh\nexec web\n"})
    extract(tar, packed(build, difference(build.manifest, None), packs=packs), tmp_path / "releases", packs=packs)
    assert seen(tmp_path / "releases" / NEW.name) == promised(build)
    assert (tmp_path / "releases" / NEW.name).stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("tar", TARS, ids=" ".join)
def test_what_is_unchanged_shares_its_file_with_the_base(tar: tuple[str, ...], tree: Path, tmp_path: Path):
    """It is neither sent nor stored again; what changed is a file of its own."""
    before = built(tree, {".release/web": b"old", ".release/same": b"same"})
    extract(tar, packed(before, difference(before.manifest, None), release=OLD), tmp_path / "releases")
    (tree / "run").write_bytes(b"#!/bin/sh\nnew\n")
    after = built(tree, {".release/web": b"new", ".release/same": b"same"})
    found = difference(after.manifest, before.manifest)
    payload = packed(after, found, OLD)
    extract(tar, payload, tmp_path / "releases")
    old, new = (tmp_path / "releases" / release.name for release in (OLD, NEW))
    assert seen(new) == promised(after)
    assert {entry.path for entry in found.same if not (new / entry.path).samefile(old / entry.path)} == set()
    assert len(found.same) > len(HOSTILE)
    assert not (new / "run").samefile(old / "run")
    assert not (new / ".release/web").samefile(old / ".release/web")
    assert (old / "run").read_bytes() == b"#!/bin/sh\n"
    assert len(payload) < 20_000


@pytest.mark.parametrize("tar", TARS, ids=" ".join)
def test_a_base_that_lacks_a_file_fails_the_unpacking(tar: tuple[str, ...], tree: Path, tmp_path: Path):
    """tar ends with an error; it is not passed over."""
    build = built(tree)
    (tmp_path / "releases").mkdir()
    payload = packed(build, difference(build.manifest, build.manifest), OLD)
    ended = subprocess.run([*tar, "-xzpof", "-"], input=payload, cwd=tmp_path / "releases", capture_output=True)
    assert ended.returncode


def test_the_same_build_is_the_same_stream(tree: Path):
    """No clock and no account gets in."""
    build = built(tree)
    payload = packed(build, difference(build.manifest, None))
    assert payload == packed(build, difference(build.manifest, None))
    with tarfile.open(fileobj=io.BytesIO(payload)) as archive:
        owners = {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in archive}
    assert owners == {(0, 0, "", "", 1_700_000_000)}


def test_progress_adds_up_to_what_the_plan_announced(tree: Path):
    """A bar that is full at the end, and moves within a large file."""
    build, steps = built(tree, {".release/web": b"exec web"}), list[int]()
    found = difference(build.manifest, None)
    stream(Built(build), NEW, found, None, b"{}", into=io.BytesIO(), progress=steps.append, mtime=0, packs=True)
    assert sum(steps) == found.bytes_sent
    assert max(steps) < 700_001


@pytest.mark.parametrize("packs", [True, False], ids=["compressed", "as it is"])
@pytest.mark.parametrize("change", ["grown", "shrunk", "gone", "a link", "a fifo", "a folder"])
def test_a_file_that_changes_meanwhile_is_refused_by_name(change: str, tree: Path, packs: bool):
    """And the stream ends short, so that no host takes it for whole: gzip notices, or the check does."""
    build, into = built(tree), io.BytesIO()
    file = tree / "big"
    match change:
        case "grown":
            file.write_bytes(bytes(700_002))
        case "shrunk":
            file.write_bytes(bytes(700_000))
        case _:
            file.unlink()
    match change:
        case "a link":
            file.symlink_to("run")
        case "a fifo":
            os.mkfifo(file)
        case "a folder":
            file.mkdir()
    found = difference(build.manifest, None)
    with pytest.raises(Refused, match="'big' changed"):
        stream(Built(build), NEW, found, None, b"{}", into=into, progress=lambda _: None, mtime=0, packs=packs)
    if packs:
        assert subprocess.run(["gzip", "-t"], input=into.getvalue(), capture_output=True).returncode
    else:
        assert b"secret" not in into.getvalue()  # which comes behind it


@pytest.mark.parametrize("packs", [True, False], ids=["compressed", "as it is"])
def test_memory_does_not_grow_with_a_file(tmp_path: Path, packs: bool):
    """300 MiB go through, and the process grows by less than 16."""
    program = """
import resource, sys
from pathlib import Path
from releases.build import Build
from releases.layout import Release
from releases.manifest import FILE, Entry, Manifest, difference
from releases.payload import Built, stream
class Nowhere:
    def write(self, data): pass
manifest = Manifest.of([Entry("big", FILE | 0o644, "0" * 64, 300 << 20)])
build = Build(Path(sys.argv[1]), manifest, "folder", {}, "", False)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
stream(Built(build), Release("20310504T030201Z-00000001"), difference(manifest, None), None, b"", into=Nowhere(),
       progress=lambda n: None, mtime=0, packs=bool(sys.argv[2:]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    with (tmp_path / "big").open("wb") as file:
        file.truncate(300 << 20)
    command = [sys.executable, "-c", program, str(tmp_path), *(["packs"] if packs else [])]
    grown_kib = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown_kib < 16 << 10
