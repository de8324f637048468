"""What comes on both streams of a session: its first word, and the end of each step."""

import sys
import time

import paramiko

from .channels import Bell
from .line import Line
from .streams import KEPT, Hear, Heard, text_of


class Ends:
    """The streams of *channel*, on which *word* marks our own lines."""

    def __init__(self, line: Line, channel: paramiko.Channel, word: bytes) -> None:
        self._line, self._channel, self._word = line, channel, word
        self._out, self._err = bytearray(), bytearray()
        self._bell = Bell(channel)

    def first(self, timeout_s: float) -> str:
        """What the bootstrap said of itself, without the word; a profile's greeting before it is skipped.

        Empty when it says nothing within *timeout_s*, or the line has ended.
        """
        end = time.monotonic() + timeout_s
        while True:
            for line in bytes(self._out).split(b"\n")[:-1]:
                kind, _, rest = line.partition(b" " + self._word)
                if rest or line.endswith(self._word):
                    if kind in (b"BUSY", b"FAIL"):
                        del self._out[: self._out.index(line + b"\n") + len(line)]
                        return text_of(kind + rest)
                    if kind == b"READY" and (at := self._err.find(line + b"\n")) >= 0:
                        del self._out[: self._out.index(line + b"\n") + len(line)]
                        del self._err[: at + len(line)]
                        return "READY"
            if not self._more(end):
                return ""
            del self._out[:-KEPT], self._err[:-KEPT]

    @property
    def greeting(self) -> str:
        """The last line that was said instead."""
        said = text_of(self._out + self._err).strip().splitlines()
        return said[-1][:120] if said else ""

    def next(self, timeout_s: float, hear: Hear, hear_out: Hear | None) -> tuple[bytearray, bytearray, int]:
        """Both streams up to the end of a step, and its exit code; lines are heard on the way.

        Raises `OutcomeUnknown` when it does not come.
        """
        end, mark = time.monotonic() + timeout_s, b"\nEND %s " % self._word
        out = Heard(mark, hear_out, keep=0 if hear_out else sys.maxsize)
        err = Heard(mark, lambda line: hear(line) if line.strip() else None, keep=KEPT)
        while True:
            out.take(self._out)
            err.take(self._err)
            if out.code is not None and err.code is not None:
                return out.kept, err.kept, out.code
            if not self._more(end):
                raise self._line.lost()

    def _more(self, end: float) -> bool:
        """Wait for more of either stream; False when it has ended or time is over."""
        while True:
            self._bell.heard()
            ended = self._channel.closed or self._channel.eof_received
            out = self._channel.recv(1 << 16) if self._channel.recv_ready() else b""
            err = self._channel.recv_stderr(1 << 16) if self._channel.recv_stderr_ready() else b""
            self._out += out
            self._err += err
            if out or err:
                self._line.lives()
                return True
            if ended or not self._bell.wait(max(0.0, end - time.monotonic())):
                return False
