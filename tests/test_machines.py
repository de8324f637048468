"""What a build was compiled for is read from its files."""

import platform
import shutil
import sys
from pathlib import Path

from releases.build import Build
from releases.machines import compiled
from releases.manifest import Manifest
from releases.tree import Exclusion, shipped


def built(tree: Path) -> Build:
    """What is in *tree*, as a build."""
    return Build(tree, Manifest.of(shipped(tree, Exclusion.of((), ()))), "folder", {}, "", dirty=False)


def test_programs_and_libraries_tell_their_machine(tmp_path: Path) -> None:
    """One path of each machine; what only looks like one says nothing."""
    head = b"\x7fELF\x02\x01" + bytes(12)
    (tmp_path / "ext.so").write_bytes(head + b"\xb7\x00rest")
    (tmp_path / "libz.so.1").write_bytes(head + b"\xb7\x00rest")
    (tmp_path / "short.so").write_bytes(head)
    (tmp_path / "image.png").write_bytes(head + b"\x16\x00")
    (tmp_path / "run").write_text("#!/bin/sh\nexec true with more than so many bytes\n")
    (tmp_path / "run").chmod(0o755)
    assert compiled(built(tmp_path)) == {"aarch64": "ext.so"}
    shutil.copy(Path(sys.executable).resolve(), tmp_path / "program")
    assert compiled(built(tmp_path)) == {"aarch64": "ext.so", platform.machine(): "program"}
