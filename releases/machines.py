"""For which machines the programs of a build were compiled: read from the heads of its ELF files."""

import os
from collections.abc import Mapping

from .build import Build
from .manifest import FILE, Entry

HEAD_BYTES = 20
ELF = b"\x7fELF"
NAMES = {3: "i686", 20: "ppc", 21: "ppc64le", 22: "s390x", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
COMPILED = (".so", ".node")


def compiled(build: Build) -> Mapping[str, str]:
    """For each machine (as ``uname -m`` says it) that something was compiled for, one such path.

    Only what may be executed, and what is named like a library, is looked at.
    """
    found: dict[str, str] = {}
    for entry in build.manifest.entries:
        if entry.path not in build.files and _may_be(entry) and (machine := _machine(_head(build, entry))):
            found.setdefault(machine, entry.path)
    return found


def _may_be(entry: Entry) -> bool:
    return entry.kind == FILE and bool(
        entry.mode & 0o111 or entry.path.endswith(COMPILED) or ".so." in entry.path.rpartition("/")[2]
    )


def _head(build: Build, entry: Entry) -> bytes:
    """The first bytes; none where it has changed meanwhile, which is found out when it is sent."""
    try:
        descriptor = os.open(build.tree / entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.read(descriptor, HEAD_BYTES)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _machine(head: bytes) -> str:
    """
    >>> _machine(ELF + bytes([2, 1]) + bytes(12) + bytes([183, 0])), _machine(b"#!/bin/sh")
    ('aarch64', '')
    """
    if len(head) < HEAD_BYTES or not head.startswith(ELF):
        return ""
    return NAMES.get(int.from_bytes(head[18:20], "big" if head[5] == 2 else "little"), "")
