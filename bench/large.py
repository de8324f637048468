"""Many files, and large ones: 25 000 files of 20 kB beside 2 000 of 10 kB, and 1 GB beside ``ssh host 'cat >file'``."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from bench.figures import Figure, median, targets
from bench.lean import project
from bench.subjects import REPOSITORY, Ours, Project

GB = 1 << 30


def peak_mb(project: Project, ours: Ours, *words: str) -> tuple[float, float]:
    """Run a command; seconds, and the most memory that it had."""
    began, most = time.monotonic(), 0
    with subprocess.Popen(
        [*ours.program, *words], cwd=project.folder, env=project.environ, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            try:
                found = re.search(r"VmHWM:\s+(\d+)", status.read_text())
            except OSError:
                break
            most = max(most, int(found[1]) if found else 0)
            time.sleep(0.02)
        assert process.stderr
        said = process.stderr.read()
    if process.returncode:
        raise RuntimeError(said[-3000:])
    return time.monotonic() - began, most / 1024


def lean(files: int, size_bytes: int, rounds: int) -> tuple[float, float]:
    """Seconds and memory of 20 changed among so many, without a delay."""
    found = []
    with project(0.0, files=files, size_bytes=size_bytes) as (shop, site):
        ours = Ours(shop)
        ours.ready()
        ours.deploy()
        for _ in range(rounds):
            site.change()
            found.append(peak_mb(shop, ours, "deploy"))
            print(f"  {files} files: {found[-1][0]:.2f} s, {found[-1][1]:.0f} MB", flush=True)
    return median([seconds for seconds, _ in found]), max(most for _, most in found)


def streamed(rounds: int) -> tuple[list[float], list[float], float]:
    """Seconds of the send step and of cat for 1 GB that does not compress, in turns; and the most memory."""
    ours_s, cat_s, most = list[float](), list[float](), 0.0
    with project(0.0, files=1) as (shop, _):
        record = shop.folder.parent / "waits"
        ours = Ours(shop, program=(sys.executable, str(REPOSITORY / "bench" / "recorded.py"), str(record)))
        ours.ready()
        for number in range(rounds):
            _random(shop.folder / "big")
            os.sync()  # or who comes next waits for what was written before
            most = max(most, peak_mb(shop, ours, "deploy")[1])
            waits = [json.loads(line) for line in record.read_text().splitlines()]
            ours_s.append([wait["s"] for wait in waits if wait["kind"] == "payload"][-1])
            os.sync()
            began = time.monotonic()
            ssh = ["ssh", "-p", str(shop.port), "-F", f"{shop.home}/.ssh/config", f"{shop.sshd.user}@127.0.0.1"]
            with (shop.folder / "big").open("rb") as file:
                subprocess.run([*ssh, f"cat >{shop.above}/copy-{number}"], stdin=file, env=shop.environ, check=True)
            cat_s.append(time.monotonic() - began)  # into new memory, as we do: what it wrote before is still there
            print(f"  1 GB, round {number + 1}: {ours_s[-1]:.1f} s, cat {cat_s[-1]:.1f} s, {most:.0f} MB", flush=True)
    return ours_s, cat_s, most


def _random(big: Path) -> None:
    with big.open("wb") as file:
        for _ in range(GB >> 20):
            file.write(os.urandom(1 << 20))


def section(rounds: int = 3) -> str:
    """The time as a multiple, the rate as a share, and memory."""
    small_s, small_mb = lean(2_000, 10_000, rounds)
    large_s, large_mb = lean(25_000, 20_000, rounds)
    ours_s, cat_s, big_mb = streamed(rounds)
    took, cat = median(ours_s), median(cat_s)
    return targets(
        (
            Figure(
                "25 000 files, 500 MB, 20 changed, × 2 000 files",
                3.0,
                large_s / small_s,
                about=f"{large_s:.2f} s / {small_s:.2f} s",
            ),
            Figure(
                "1 GB that does not compress: rate, × `ssh host 'cat >file'`",
                0.8,
                cat / took,
                more=True,
                about=f"{took:.1f} s; cat {cat:.1f} s",
            ),
            Figure(
                "memory with a file of 1 GB, × 2 000 small files",
                1.2,
                big_mb / small_mb,
                about=f"{big_mb:.0f} MB / {small_mb:.0f} MB; with 25 000 files {large_mb:.0f} MB",
            ),
        )
    )
