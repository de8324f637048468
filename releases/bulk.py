"""Bulk data beside a session, each on a channel of its own: a release that is sent, or fetched from a host."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import paramiko

from .channels import Spare
from .errors import OutcomeUnknown, StepFailed
from .line import Line
from .streams import Stream, Tail, behind_greeting, feed, text_of

UNPACK = 'tar -x"$option"pof -'  # what a release is sent to; the option is "z" where it is compressed
# Where it can be had, its lock is held until the command has ended, and it has the word in it if that went well. One
# whose deploy is dead may not have ended yet: it is not waited for.
HOLD = '[ -z "$3" ] || { (: >>"$3") 2>/dev/null && exec 8>>"$3" && flock -n 8 && : >"$3" && echo && echo "$2"; }'
# Of a tar that is not compressed it says no more than that tar has ended: what is not there the check misses.
TOLD = 'code=$?; [ $code != 0 ] || [ -z "$3" ] || echo "$2" >>"$3"; exit $code'
# As in main.sh: a far end that nobody talks to any more, be it with a beat, does not stay.
LIMIT = """
  first=
  until [ -n "$first" ]; do
    first=$(exec timeout "$4" /bin/sh -c 'IFS= read -r first && printf %s "$first"') || exit
  done
  limit=${first%% *} option=${first#* }
"""

_CAUSES = ("Permission denied", "No space left on device", "Disk quota exceeded", "Read-only file system")


class Bulk:
    """What is sent and received over a *line*. Nothing of it is held in memory."""

    def __init__(self, line: Line, word: bytes) -> None:
        self.line, self._word = line, word
        self._spares: dict[tuple[str, str, str], Spare] = {}
        self._turn = threading.Lock()  # a beat is no part of what is sent

    def expect(self, command: str, directory: str, hold: str = "") -> None:
        """Have a channel opened beside what runs, for the next `send` of this kind: it takes sshd two round trips."""
        with self._turn:
            if (command, directory, hold) not in self._spares:
                self._spares[command, directory, hold] = Spare(partial(self._waiting, command, directory, hold))

    def beat(self) -> None:
        """Tell what waits for a `send` that we are there; who uses it finds out that it is gone."""
        with self._turn, suppress(paramiko.SSHException, OSError, EOFError):
            for spare in self._spares.values():
                if channel := spare.channel:
                    channel.sendall(b"\n")

    def _ready(self, command: str, directory: str, hold: str) -> paramiko.Channel:
        """The one that was expected, or another."""
        with self._turn:
            spare = self._spares.pop((command, directory, hold), None)
        return spare.opened() if spare else self._waiting(command, directory, hold)

    def _waiting(self, command: str, directory: str, hold: str) -> paramiko.Channel:
        """A channel on which a line with its limit and option is waited for, and all else goes to the *command*."""
        program = f'{LIMIT}cd "$1" || exit; {HOLD}; timeout -k 5 "$limit" {command}; {TOLD}'
        patience_s = math.ceil(self.line.limits.lock_s)
        words = directory, self._word.decode(), hold, str(patience_s)
        return self.line.open(program, *words, limit_s=patience_s)

    def send(
        self,
        name: str,
        command: str,
        directory: str,
        write: Callable[["Stream"], None],
        *,
        timeout_s: float = 600.0,
        option: str = "",
        hold: str = "",
        behind: Callable[[], None] = lambda: None,
    ) -> None:
        """Run *command* in *directory* on a channel of its own, with what *write* writes as its stdin.

        The command finds *option* in ``$option``: chosen when it is sent to, not when its channel was opened.
        Once all is written, and it is known that the file *hold* is locked (``flock``) until the command has ended,
        *behind* is called: what follows may be sent, and wait for that lock. The file is empty then, unless the command
        has ended with 0.

        Raises as `run` does, `Unreachable` when the host gives no channel, and what *write* raises. Nothing is held in
        memory.
        """
        self.line.step, limit = name, max(1, round(timeout_s))
        channel = self._ready(command, directory, hold)
        channel.settimeout(limit + self.line.limits.lock_s)
        said = Tail(channel, self._word)
        stream = Stream(channel, self.line.unknown, self.line.lives)
        try:
            stream.write(b"%d %s\n" % (limit, option.encode()))
            write(stream)
            stream.end()
            if said.begun(limit):
                behind()
                self.line.step = name  # that is what is still waited for
        except BaseException as error:
            if not isinstance(error, OutcomeUnknown) or error.host != self.line.host:  # another's, that *write* met
                channel.close()
                raise
            if not channel.exit_status_ready():
                raise self.line.lost(error.why) from error
        self._end(name, channel, said, limit)

    def _end(self, name: str, channel: paramiko.Channel, said: Tail, limit: int) -> None:
        """Wait for the end of a command; raises what it has failed with."""
        tail = text_of(said.whole())
        if not channel.status_event.wait(limit + self.line.limits.lock_s) or channel.exit_status < 0:
            raise self.line.lost()
        channel.close()
        if channel.exit_status:
            late = [f"no end within {limit} s"] if channel.exit_status == 124 else []
            raise self.line.failed(name, channel.exit_status, [*_causes(tail), *late])

    @contextmanager
    def receiving(
        self, name: str, command: str, directory: str, given: bytes, *, timeout_s: float = 600.0
    ) -> Iterator[Callable[[int], bytes]]:
        """Run *command* in *directory* on a channel of its own, with *given* as its stdin; gives what reads its stdout.

        That returns at least one byte and at most so many, and raises as `run` does when none comes any more. So does
        the end of the block, when more than that came. What it prints on stderr is lost. Nothing is held in memory.
        """
        limit = max(1, round(timeout_s))
        begin = f"exec 2>/dev/null; echo; echo {self._word.decode()}"
        program = f'{begin}; cd "$1" && exec timeout -k 5 {limit} {command}'
        channel = self.line.open(program, directory, limit_s=limit + self.line.limits.lock_s)
        stream = Stream(channel, self.line.unknown, self.line.lives)
        read = _Incoming(self.line, channel, name, f"nothing came for {limit} s")
        try:
            # Beside us: what has much to say to much that is given would wait for us, and we for it.
            threading.Thread(target=feed, args=(stream, given), name=f"feed {self.line.host}", daemon=True).start()
            read.early += behind_greeting(read, self._word)
            yield read
            if read.early or channel.recv(1):
                raise self.line.failed(name, 74, ["more was sent than its manifest says"])
        finally:
            channel.close()


def _causes(said: str) -> list[str]:
    """What a command said of its failure, with the cause last: tar has a line for each file on a full disk."""
    lines = [line for line in said.splitlines() if not line.startswith("tar: Exiting with failure")]
    return [*lines, *[line for line in lines if line.endswith(_CAUSES)][-1:]]


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
