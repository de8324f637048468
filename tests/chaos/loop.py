"""A host whose root lies on ext4 in a file: a copy of the file is the disk as a power cut at that moment leaves it.

What was not seen to the disk is lost with it; that of `auto_da_alloc`, which makes up for programs that forget, too.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.app import until
from tests.chaos.host import Host
from tests.gate import Gate
from tests.sshd import Sshd

SIZE = "48M"


class Loop(Host):
    """It calls its tools through *gate*, so that a moment can be held."""

    def __init__(self, name: str, home: Path, number: int, gate: Gate) -> None:
        super().__init__(name, home, number)
        self.gate, self.image = gate, home / "image"

    @staticmethod
    def missing() -> str:
        """Why there can be none here; empty when there can."""
        if os.geteuid() != 0 or not shutil.which("mkfs.ext4", path=f"{os.defpath}:/usr/sbin:/sbin"):
            return "no loop devices: needs root, and apt-get install e2fsprogs"
        return ""

    @staticmethod
    def known() -> bool:
        """Has the kernel loop devices? No package brings them."""
        return subprocess.run(["losetup", "-f"], capture_output=True).returncode == 0

    def server(self) -> Sshd:
        """Sessions find the gate's tools."""
        return Sshd(force_shell="sh", environment={"PATH": str(self.gate.bin)})

    def mount(self) -> bool:
        """A new disk."""
        with self.image.open("wb") as file:
            file.truncate(int(SIZE.rstrip("M")) << 20)
        lazy = "lazy_itable_init=0,lazy_journal_init=0"
        subprocess.run(["mkfs.ext4", "-q", "-E", lazy, str(self.image)], check=True)
        self._mount(self.image)
        return True

    def copy(self, to: Path) -> Path:
        """What is on the disk now."""
        subprocess.run(["cp", "--sparse=always", str(self.image), str(to)], check=True)
        return to

    @contextmanager
    def after_power_cut(self, copy: Path) -> Iterator[None]:
        """The host with *copy* for its disk, and nothing that runs; the copy is used up."""
        self._unmount()
        self._mount(copy)
        try:
            yield
        finally:
            self._unmount()
            copy.unlink()
            self._mount(self.image)

    def _unmount(self) -> None:
        """Whoever was ended has its files open for a moment more."""
        self.end()
        unmount = ["umount", str(self.root)]
        until(lambda: subprocess.run(unmount, stderr=subprocess.DEVNULL).returncode == 0, what="the end of all use")

    def _mount(self, image: Path) -> None:
        options = "loop,noauto_da_alloc,commit=300"
        subprocess.run(["mount", "-t", "ext4", "-o", options, str(image), str(self.root)], check=True)
