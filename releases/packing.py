"""How the bytes of a payload travel: compressed, or as they are."""

import zlib
from typing import Protocol

CHUNK_BYTES = 1 << 18
SAMPLE_BYTES = 1 << 14
GZIP = 31  # zlib's window of 2**15 bytes, with the header and check sum of gzip


class BinaryWriter(Protocol):
    """Takes bytes; whatever it answers is ignored."""

    def write(self, data: bytes, /) -> object:
        """Take all of *data*, or raise."""


class Packed:
    """As gzip; what would not shrink is only wrapped."""

    def __init__(self, into: BinaryWriter) -> None:
        self.into = into
        self._gzip, self._packs = zlib.compressobj(1, zlib.DEFLATED, GZIP), True

    def expect(self, chunk: bytes) -> None:
        """Choose for what comes next: compress, or only wrap.

        By *chunk*, which it begins with. gzip reads on where one part of it ends and another begins.
        """
        packs = len(chunk) < SAMPLE_BYTES or shrinks(chunk[:SAMPLE_BYTES])
        if packs is not self._packs:
            self.into.write(self._gzip.flush())
            self._gzip, self._packs = zlib.compressobj(int(packs), zlib.DEFLATED, GZIP), packs

    def write(self, block: bytes) -> None:
        """Take *block*."""
        if packed := self._gzip.compress(block):
            self.into.write(packed)

    def end(self) -> None:
        """What was held back."""
        self.into.write(self._gzip.flush())


class Plain:
    """As they are, in pieces that are worth a packet."""

    def __init__(self, into: BinaryWriter) -> None:
        self.into, self._held = into, bytearray()

    def expect(self, chunk: bytes) -> None:
        """Choose nothing."""

    def write(self, block: bytes) -> None:
        """Take *block*."""
        if not self._held and len(block) >= CHUNK_BYTES:
            self.into.write(block)
            return
        self._held += block
        if len(self._held) >= CHUNK_BYTES:
            self.end()

    def end(self) -> None:
        """What was held back."""
        self.into.write(bytes(self._held))
        self._held.clear()


def shrinks(sample: bytes) -> bool:
    """Whether it is worth to be compressed: what is compressed already would only take its time."""
    return len(zlib.compress(sample, 1)) < 0.95 * len(sample)
