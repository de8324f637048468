"""Builds of trees, and their payloads as a host takes them."""

import hashlib
import io
import os
import subprocess
from pathlib import Path

from releases.build import Build
from releases.layout import Release
from releases.manifest import FILE, FOLDER, Difference, Entry, Manifest
from releases.payload import Built, stream
from releases.tree import Exclusion, shipped

OLD, NEW = Release("20310504T030201Z-00000001"), Release("20310504T030202Z-00000002")


TARS = (("tar",), ("busybox", "tar"))


def built(tree: Path, files: dict[str, bytes] | None = None) -> Build:
    """A build of *tree* as it is."""
    files = files or {}
    entries = shipped(tree, Exclusion.of((), ()))
    for path, content in files.items():
        entries.append(Entry(path, FILE | 0o755, hashlib.sha256(content).hexdigest(), len(content)))
        entries.append(Entry(os.path.dirname(path), FOLDER | 0o755, "-", 0))
    return Build(tree, Manifest.of(entries), "folder", files, "", dirty=False)


def packed(
    build: Build, found: Difference, base: Release | None = None, release: Release = NEW, *, packs: bool = True
) -> bytes:
    """The stream as bytes."""
    into, when = io.BytesIO(), 1_700_000_000
    stream(Built(build), release, found, base, b"{}\n", into=into, progress=lambda _: None, mtime=when, packs=packs)
    return into.getvalue()


def extract(tar: tuple[str, ...], stream_: bytes, releases: Path, *, packs: bool = True) -> None:
    """As the host does, and not a word of complaint."""
    releases.mkdir(exist_ok=True)
    options = "-xzpof" if packs else "-xpof"
    ended = subprocess.run([*tar, options, "-"], input=stream_, cwd=releases, capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")
