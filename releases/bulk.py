"""Bulk data beside a session, each on a channel of its own: a release that is sent, or fetched from a host."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import paramiko

from .channels import Spare
from .errors import OutcomeUnknown, StepFailed
from .line import Line
from .lines import escaped
from .streams import Stream, Tail, behind_greeting, feed, text_of

_CAUSES = ("Permission denied", "No space left on device", "Disk quota exceeded", "Read-only file system")


class Bulk:
    """What is sent and received over a *line*. Nothing of it is held in memory."""

    def __init__(self, line: Line, word: bytes) -> None:
        self.line, self._word = line, word
        self._spare: Spare | None = None

    def expect(self) -> None:
        """Have a channel opened beside what runs, for the next `send`."""
        self._spare = self._spare or Spare(self.line.connection)

    def send(
        self, name: str, command: str, directory: str, write: Callable[["Stream"], None], *, timeout_s: float = 600.0
    ) -> None:
        """Run *command* in *directory* on a channel of its own, with what *write* writes as its stdin.

        Raises as `run` does, `Unreachable` when the host gives no channel, and what *write* raises. Nothing is held in
        memory.
        """
        self.line.step, limit = name, max(1, round(timeout_s))
        spare, self._spare = self._spare, None
        channel = self.line.open(directory, limit_s=limit + self.line.limits.lock_s, spare=spare)
        said = Tail(channel)
        stream = Stream(channel, self.line.unknown, self.line.lives)
        try:
            stream.write(escaped(f'#\ncd "$1" && exec timeout -k 5 {limit} {command}') + b"\n")
            write(stream)
            stream.end()
        except BaseException as error:
            if not isinstance(error, OutcomeUnknown) or error.host != self.line.host:  # another's, that *write* met
                channel.close()
                raise
            if not channel.exit_status_ready():
                raise self.line.lost(error.why) from error
        tail = said.whole()
        if not channel.status_event.wait(limit + self.line.limits.lock_s) or channel.exit_status < 0:
            raise self.line.lost()
        channel.close()
        if channel.exit_status:
            late = [f"no end within {timeout_s:g} s"] if channel.exit_status == 124 else []
            lines = [line for line in text_of(tail).splitlines() if not line.startswith("tar: Exiting with failure")]
            cause = [line for line in lines if line.endswith(_CAUSES)][-1:]
            raise self.line.failed(name, channel.exit_status, [*lines, *cause, *late])

    @contextmanager
    def receiving(
        self, name: str, command: str, directory: str, given: bytes, *, timeout_s: float = 600.0
    ) -> Iterator[Callable[[int], bytes]]:
        """Run *command* in *directory* on a channel of its own, with *given* as its stdin; gives what reads its stdout.

        That returns at least one byte and at most so many, and raises as `run` does when none comes any more. So does
        the end of the block, when more than that came. What it prints on stderr is lost. Nothing is held in memory.
        """
        limit = max(1, round(timeout_s))
        channel = self.line.open(directory, limit_s=limit + self.line.limits.lock_s)
        stream = Stream(channel, self.line.unknown, self.line.lives)
        read = _Incoming(self.line, channel, name, f"nothing came for {limit} s")
        try:
            begin = f"exec 2>/dev/null; echo; echo {self._word.decode()}"
            stream.write(escaped(f'#\n{begin}; cd "$1" && exec timeout -k 5 {limit} {command}') + b"\n")
            # Beside us: what has much to say to much that is given would wait for us, and we for it.
            threading.Thread(target=feed, args=(stream, given), name=f"feed {self.line.host}", daemon=True).start()
            read.early += behind_greeting(read, self._word)
            yield read
            if read.early or channel.recv(1):
                raise self.line.failed(name, 74, ["more was sent than its manifest says"])
        finally:
            channel.close()


class _Incoming:
    """Reads what a host sends for the step *name*; *early* is what came already. *late*: why it is given up."""

    def __init__(self, line: Line, channel: paramiko.Channel, name: str, late: str) -> None:
        self._line, self._channel, self._name, self._late = line, channel, name, late
        self.early = bytearray()

    def __call__(self, count: int) -> bytes:
        if data := bytes(self.early[:count]):
            del self.early[:count]
            return data
        try:
            data = self._channel.recv(count)
        except OSError as error:
            raise self._line.unknown(str(error) or self._late) from error
        self._line.lives()
        if not data:
            raise self._short()
        return data

    def _short(self) -> StepFailed | OutcomeUnknown:
        """Why nothing comes any more: the command has ended, or the line has."""
        if not self._channel.status_event.wait(self._line.limits.lock_s) or self._channel.exit_status < 0:
            return self._line.unknown()
        return self._line.failed(self._name, self._channel.exit_status or 74, ["less was sent than its manifest says"])
