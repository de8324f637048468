"""What goes over one channel: lines that are heard as they come, and bytes that are sent."""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import paramiko

from .errors import OutcomeUnknown

KEPT = 1 << 18  # bytes of what was heard already that are kept for a message, and of a line that has no end

NOT_BEGUN = -1  # the exit code of a step that did not run, since one before it had failed

Hear = Callable[[str], None]


def text_of(data: bytes | bytearray) -> str:
    """What was said, whatever bytes it is."""
    return data.decode("utf-8", "surrogateescape")


class Heard:
    """One stream of one step: each line of it is heard once, when it is whole, and its last *keep* bytes are kept.

    It ends with *mark* and the exit code of the step, which is None before. A line that is longer than `KEPT` is heard
    in pieces.
    """

    def __init__(self, mark: bytes, hear: Hear | None, *, keep: int) -> None:
        self.mark, self.hear, self.keep = mark, hear, keep
        self.kept = bytearray()
        self.code: int | None = None
        self._seen = self._first = 1  # how much of the data was looked at; where it begins to be what was said
        self._inside = False  # of a line that was heard, but for its end

    def take(self, data: bytearray) -> None:
        """Take away what has come; *data* begins with the end of a line, and keeps one: it may be that of the mark."""
        if self.code is not None:
            return
        at = 0 if data.startswith(self.mark) else data.find(self.mark, self._seen)
        if at < 0:
            self._take_lines(data)
        elif (end := data.find(b"\n", at + len(self.mark))) >= 0:
            self._pass_on(data[self._first : at])
            code = data[at + len(self.mark) : end]
            self.code = NOT_BEGUN if code == b"-" else int(code)
            del data[:end]

    def _take_lines(self, data: bytearray) -> None:
        if (last := data.rfind(b"\n", self._seen)) > 0:
            self._pass_on(data[self._first : last])
            del data[:last]
            self._first = 0
        elif self.hear and len(data) > KEPT:
            self._pass_on(data[self._first : -1])
            del data[1:-1]
            self._first = 1
        self._seen = len(data)

    def _pass_on(self, said: bytearray) -> None:
        if not said:
            return
        if self.hear and (lines := said[self._inside and said.startswith(b"\n") :]):
            for line in text_of(lines).removesuffix("\n").split("\n"):
                self.hear(line)
        self._inside = not said.endswith(b"\n")
        if self.keep:
            self.kept += said
        if len(self.kept) > 2 * self.keep:  # seldom
            del self.kept[: -self.keep]


class Tail:
    """The last words of a channel; somebody must listen all the time, or who talks much would wait for us for ever.

    A line that is *word* says that it has begun.
    """

    def __init__(self, channel: paramiko.Channel, word: bytes) -> None:
        self.channel, self.said, self._mark = channel, bytearray(), b"\n%s\n" % word
        self._begun, self._heard = False, threading.Event()
        self.thread = threading.Thread(target=self._listen, name="what is said to what we send", daemon=True)
        self.thread.start()

    def _listen(self) -> None:
        with suppress(OSError):  # that nothing came for too long; what it means is for others to say
            while chunk := self.channel.recv(1 << 16):
                self.said += chunk
                if not self._begun and (at := self.said.find(self._mark)) >= 0:
                    self._begun = True
                    del self.said[: at + len(self._mark)]
                    self._heard.set()
                del self.said[:-KEPT]
        self._heard.set()

    def begun(self, timeout_s: float) -> bool:
        """Wait until it says so, or ends without."""
        self._heard.wait(timeout_s)
        return self._begun

    def whole(self) -> bytearray:
        """Wait for the end."""
        self.thread.join()
        return self.said


class Stream:
    """What a payload is written to."""

    def __init__(
        self, channel: paramiko.Channel, lost: Callable[[str], OutcomeUnknown], lives: Callable[[], None]
    ) -> None:
        self.channel, self.lost, self.lives = channel, lost, lives

    def write(self, data: bytes) -> int:
        """Send all of *data*; `OutcomeUnknown` when the line drops or the far side stops reading.

        Packet by packet: paramiko copies what is left behind each, which is most of a large piece.
        """
        packet = self.channel.out_max_packet_size - 64  # as paramiko has it
        for at in range(0, len(data), packet):
            self._do(partial(self.channel.sendall, data[at : at + packet]))
        self.lives()
        return len(data)

    def end(self) -> None:
        """Say that this was all; raises as `write` does."""
        self._do(self.channel.shutdown_write)

    def _do(self, what: Callable[[], None]) -> None:
        try:
            what()
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self.lost(str(error)) from error


def behind_greeting(read: Callable[[int], bytes], word: bytes) -> bytes:
    """Read away what a profile prints, up to a line that is *word*; what has come behind that."""
    said, mark = bytearray(), b"\n%s\n" % word
    while (at := said.find(mark)) < 0:
        del said[:-KEPT]
        said += read(1 << 16)
    return bytes(said[at + len(mark) :])


def feed(stream: Stream, given: bytes) -> None:
    with suppress(OutcomeUnknown):  # whoever reads finds out
        stream.write(given)
        stream.end()
