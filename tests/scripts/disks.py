"""A small disk for a root, to be filled to its last byte or file; made by mounting one, as root only."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def full(root: Path) -> Iterator[Callable[..., None]]:
    """A small disk at *root*; yields what fills it, with ``inodes=True`` so that no file can be made any more."""
    shutil.rmtree(root)
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=755", "small", str(root)], check=True)

    def fill(*, inodes: bool = False) -> None:
        if inodes:
            there = os.statvfs(root)
            used = f"remount,nr_inodes={there.f_files - there.f_ffree}"
            subprocess.run(["mount", "-o", used, str(root)], check=True)
            return
        with (root / "filler").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 4096)

    try:
        yield fill
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)
