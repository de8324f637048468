"""What do copies cost where commands run in a release? ``python bench/links_or_copies.py [FILES] [ROUNDS]``

Makes a release of FILES files (2 000, of 10 kB), then unpacks a second one of which 20 files differ, as hard links, and
as hard links that are then replaced by copies, as the steps `send` and `check` do. Prints medians of
ROUNDS (5), in turns.
"""

import io
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

CHANGED = 20


def payload(files: int) -> bytes:
    """The stream of a release `b` that shares all but 20 files with `a`."""
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w:gz", format=tarfile.GNU_FORMAT, compresslevel=1) as tar:
        for name, kind in [("b", tarfile.DIRTYPE), *((f"b/{i}", tarfile.LNKTYPE) for i in range(files - CHANGED))]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode = kind, name.replace("b/", "a/"), 0o755
            tar.addfile(member)
        for i in range(files - CHANGED, files):
            member = tarfile.TarInfo(f"b/{i}")
            member.size, member.mode = 10_000, 0o444
            tar.addfile(member, io.BytesIO(os.urandom(10_000)))
    return into.getvalue()


def unpacked(root: Path, stream: bytes, *, copies: bool) -> float:
    """Seconds to have release `b` whole."""
    began = time.perf_counter()
    subprocess.run(["tar", "-xzpof", "-"], input=stream, cwd=root, check=True)
    if copies:
        subprocess.run("cp -a b b.copy && rm -rf b && mv -T b.copy b", shell=True, cwd=root, check=True)
    took = time.perf_counter() - began
    shutil.rmtree(root / "b")
    return took


def main(files: int = 2000, rounds: int = 5) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        root = Path(folder)
        (root / "a").mkdir()
        for i in range(files):
            (root / "a" / str(i)).write_bytes(os.urandom(10_000))
        stream = payload(files)
        took: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(rounds):
            for copies, times in took.items():
                times.append(unpacked(root, stream, copies=copies))
    links, copied = (statistics.median(took[copies]) * 1000 for copies in (False, True))
    print(f"{files} files, {CHANGED} changed, median of {rounds}: links {links:.0f} ms, copies {copied:.0f} ms")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
