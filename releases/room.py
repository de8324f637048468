"""Is there room for a release on a host? Bytes and inodes, forecast before anything is sent."""

from .errors import Refused
from .manifest import Difference, Manifest
from .size import size
from .surveyed import Surveyed

BLOCK = 4096
HEADROOM = 1.1  # what tar, the journal and the file system add to the bytes of a release
HINT = "`inv prune` removes releases that nothing needs"


def check_room(host: Surveyed, manifest: Manifest, needed: Difference, *, copies: bool) -> None:
    """`Refused` where what *needed* says would not fit: in whole blocks, and in inodes.

    *copies*: what is linked becomes a copy, while what was sent is still there.
    """
    facts, entries = host.facts, (*needed.sent, *(manifest.entries if copies else ()))
    blocks = sum(-(-entry.size_bytes // BLOCK) * BLOCK for entry in entries)
    wanted = int((blocks + len(manifest.text) + BLOCK * 16) * HEADROOM)
    if wanted > facts.free_bytes:
        free = f"{size(facts.free_bytes)} are free"
        raise Refused(f"{host.name}: {size(wanted)} are needed below {host.config.root}, {free}", hint=HINT)
    inodes = len(manifest.entries) * (2 if copies else 1)
    if facts.free_inodes and inodes + 64 > facts.free_inodes:
        raise Refused(f"{host.name}: {inodes} inodes are needed, {facts.free_inodes} are free", hint=HINT)
