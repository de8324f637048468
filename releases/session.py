"""One host over SSH: the lock, run a script, send a stream, close."""

import json
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import paramiko
from fabric import Connection

from .answer import Answer
from .channels import Bell, Spare, execute
from .errors import LockHeld, OutcomeUnknown, Refused, StepFailed, Unreachable
from .holder import Holder
from .lines import ARGUMENT, Script, chained, escaped, request
from .scripts import quoted, source
from .settings import Limits
from .streams import KEPT, NOT_BEGUN, Hear, Heard, Stream, Tail, behind_greeting, feed, text_of
from .targets import by_hand

BEATS = 3  # so many go to a host before it gives the session up
PULSES = 4  # so often sshd itself is asked for a sign of life before the line is given up
OPEN_S = 30

# All that the login shell has to understand, whichever it is: one line, single quotes only, no backslash (fish eats
# it), no exclamation mark (csh). The program itself follows as the first line on stdin.
# That line is a comment to any other shell that a profile may have put in the place of the one that was asked.
BOOT = """exec /bin/sh -c 'IFS= read -r line && eval "$(printf %b "$line")"' switchover"""


class Session:
    """A remote ``/bin/sh`` that holds the lock and runs one step after another; it ends with the connection.

    *lock* is the path of the lock, or empty for a session that only reads; *first* is sent ahead with its program.
    Where it is taken, *waits* is told once by whom, and it is waited for in the order of arrival, *wait_s* seconds at
    most. Raises `LockHeld`, `Refused` when the host cannot carry a session (no flock, no root), `Unreachable` when the
    line drops before it began.
    """

    def __init__(
        self,
        connection: Connection,
        host: str,
        *,
        lock: str = "",
        hear: Hear = print,
        first: Sequence[Script] = (),
        limits: Limits | None = None,
        wait_s: float = 0.0,
        waits: Callable[[LockHeld], None] = lambda busy: None,
    ) -> None:
        self.host, self.hear, self.connection = host, hear, connection
        self.limits = limits or Limits()
        self.word = os.urandom(12).hex().encode()
        self._out, self._err = bytearray(), bytearray()
        self._step = "the start of the session"
        self._silent, self._alive = "", time.monotonic()
        self._sending = threading.Lock()
        self._closed = threading.Event()
        self._ahead = deque[bytes]()
        self._spare: Spare | None = None
        patience, wait = math.ceil(self.limits.lock_s), math.ceil(wait_s)
        self._channel = self._exec(lock, self.word.decode(), str(patience), str(wait))
        self._bell = Bell(self._channel)
        program = f'#\nset -- "$@" {quoted(source("session/runner.sh"))}\n{source("session/main.sh")}'
        early = chained(first)
        self._send(b"%s\n" % escaped(program) + early)
        self._ready(lock, wait, waits)
        self._ahead.extend(map(request, first) if early else ())
        for keep in (self._beat, self._pulse):
            threading.Thread(target=keep, name=f"{keep.__name__} {host}", daemon=True).start()

    def ahead(self, name: str, scripts: Sequence[Script]) -> None:
        """Send *scripts* that `run` will be asked for in this order, the first by *name*: one round trip for all.

        Behind one that fails, or that finds something, the host begins none. What is not asked for is done, too.
        """
        if line := chained(scripts):
            self._step = name
            self._forget()
            self._send(line)
            self._ahead.extend(map(request, scripts))

    def run(
        self, name: str, script: str, *, timeout_s: float = 600.0, out: Hear | None = None, finds: int = 0
    ) -> Answer:
        """Run one rendered script and return what it answered; its stderr is heard as it arrives. One round trip.

        With *out* each line of its stdout is handed there as it arrives instead, and nothing of it is kept. With the
        exit code *finds* it has answered, too.

        Raises `StepFailed` with the exit code and the last 20 lines of stderr; `OutcomeUnknown` when the line drops
        first: the host may have done it.
        """
        self._step = name
        line = request((script, timeout_s))
        if len(line) >= ARGUMENT:
            why = f"its script has {len(line)} bytes, and a host takes {ARGUMENT - 1} at most"
            raise StepFailed(self.host, name, 7, [why], hint="put long commands into a script that is shipped")
        said, err, code = self._answered(line, timeout_s + self.limits.lock_s, out)
        if code and code == finds:
            code = 0
        if code == 124:
            err += f"\nno end within {timeout_s:g} s".encode()
        if code:
            raise self._failed(name, code, text_of(err).splitlines(), own=Answer.parse(text_of(said)).one("record"))
        return Answer.parse(text_of(said))

    def _answered(self, line: bytes, timeout_s: float, out: Hear | None) -> tuple[bytearray, bytearray, int]:
        """What was answered to what was sent ahead, or is sent now."""
        if not self._ahead or self._ahead[0] != line:
            self._forget()
            self._ahead.append(line)  # Ctrl-C may come before its answer, which is not that of the next
            self._send(b"%s\n" % line)
        ended = self._end(timeout_s, out)
        self._ahead.popleft()
        return self._answered(line, timeout_s, out) if ended[2] == NOT_BEGUN else ended

    def _forget(self) -> None:
        """Wait for what was sent ahead and is not asked for any more."""
        while self._ahead:
            self._end(float(self._ahead[0].partition(b" ")[0]) + self.limits.lock_s, None)
            self._ahead.popleft()

    def expect(self) -> None:
        """Have a channel opened beside what runs, for the next `send`."""
        self._spare = self._spare or Spare(self.connection)

    def send(
        self, name: str, command: str, directory: str, write: Callable[["Stream"], None], *, timeout_s: float = 600.0
    ) -> None:
        """Run *command* in *directory* on a channel of its own, with what *write* writes as its stdin.

        Raises as `run` does, `Unreachable` when the host gives no channel, and what *write* raises. Nothing is held in
        memory.
        """
        self._step, limit = name, max(1, round(timeout_s))
        spare, self._spare = self._spare, None
        channel = self._exec(directory, limit_s=limit + self.limits.lock_s, spare=spare)
        said = Tail(channel)
        stream = Stream(channel, self._unknown, self._lives)
        try:
            stream.write(escaped(f'#\ncd "$1" && exec timeout -k 5 {limit} {command}') + b"\n")
            write(stream)
            stream.end()
        except BaseException as error:
            if not isinstance(error, OutcomeUnknown) or error.host != self.host:  # another's, that *write* met
                channel.close()
                raise
            if not channel.exit_status_ready():
                raise self._lost(error.why) from error
        tail = said.whole()
        if not channel.status_event.wait(limit + self.limits.lock_s) or channel.exit_status < 0:
            raise self._lost()
        channel.close()
        if channel.exit_status:
            late = [f"no end within {timeout_s:g} s"] if channel.exit_status == 124 else []
            lines = [line for line in text_of(tail).splitlines() if not line.startswith("tar: Exiting with failure")]
            cause = [line for line in lines if line.endswith(_CAUSES)][-1:]
            raise self._failed(name, channel.exit_status, [*lines, *cause, *late])

    @contextmanager
    def receiving(
        self, name: str, command: str, directory: str, given: bytes, *, timeout_s: float = 600.0
    ) -> Iterator[Callable[[int], bytes]]:
        """Run *command* in *directory* on a channel of its own, with *given* as its stdin; gives what reads its stdout.

        That returns at least one byte and at most so many, and raises as `run` does when none comes any more. So does
        the end of the block, when more than that came. What it prints on stderr is lost. Nothing is held in memory.
        """
        limit = max(1, round(timeout_s))
        channel = self._exec(directory, limit_s=limit + self.limits.lock_s)
        stream = Stream(channel, self._unknown, self._lives)
        early = bytearray()

        def read(count: int) -> bytes:
            if data := bytes(early[:count]):
                del early[:count]
                return data
            try:
                data = channel.recv(count)
            except OSError as error:
                raise self._unknown(str(error) or f"nothing came for {limit} s") from error
            self._lives()
            if not data:
                raise self._short(name, channel)
            return data

        try:
            begin = f"exec 2>/dev/null; echo; echo {self.word.decode()}"
            stream.write(escaped(f'#\n{begin}; cd "$1" && exec timeout -k 5 {limit} {command}') + b"\n")
            # Beside us: what has much to say to much that is given would wait for us, and we for it.
            threading.Thread(target=feed, args=(stream, given), name=f"feed {self.host}", daemon=True).start()
            early += behind_greeting(read, self.word)
            yield read
            if early or channel.recv(1):
                raise self._failed(name, 74, ["more was sent than its manifest says"])
        finally:
            channel.close()

    def _short(self, name: str, channel: paramiko.Channel) -> StepFailed | OutcomeUnknown:
        """Why nothing comes any more: the command has ended, or the line has."""
        if not channel.status_event.wait(self.limits.lock_s) or channel.exit_status < 0:
            return self._unknown()
        return self._failed(name, channel.exit_status or 74, ["less was sent than its manifest says"])

    @property
    def lost(self) -> bool:
        """Whether the line is known to be gone."""
        return self._closed.is_set()

    def close(self) -> None:
        """End the session and its connection; the lock is free when this returns, unless the line is gone."""
        self.end()
        self.connection.close()

    def end(self) -> None:
        """End the session alone."""
        if not self._closed.is_set():
            self._closed.set()
            try:
                self._send(b"bye\n")
                # not recv(): a daemon may keep stdout open
                self._channel.status_event.wait(5)
            except OutcomeUnknown:
                pass
        with suppress(paramiko.SSHException, EOFError, OSError):  # of a line that has just dropped
            self._channel.close()

    def _exec(self, *words: str, limit_s: float | None = None, spare: Spare | None = None) -> paramiko.Channel:
        """A channel whose far end waits for the line with its program; with *limit_s* both its streams are one."""
        try:
            transport: paramiko.Transport = self.connection.transport
            channel = spare.opened() if spare else transport.open_session(timeout=OPEN_S)
            channel.set_combine_stderr(limit_s is not None)
            channel.settimeout(limit_s)
            execute(channel, " ".join((BOOT, *(f"'{word}'" for word in words))))
        except (paramiko.SSHException, EOFError, OSError) as error:
            if not isinstance(error, paramiko.ChannelException):  # which sshd gives, and goes on
                self._closed.set()
            raise Unreachable(f"{self.host}: no channel: {error or 'the connection was closed'}") from error
        return channel

    def _ready(self, lock: str, wait_s: float, waits: Callable[[LockHeld], None]) -> None:
        line = self._until(OPEN_S)
        kind, _, rest = line.partition(" ")
        if kind == "BUSY" and wait_s:
            waits(self._held(rest))
            kind, _, rest = self._until(wait_s + OPEN_S).partition(" ")
        if kind == "BUSY":
            raise self._held(rest)
        if kind == "FAIL":
            code, _, why = rest.partition(" ")
            user, root = self.connection.user, lock.rpartition("/.switchover/")[0]
            raise Refused(f"{self.host}: {why}", hint=_HINTS.get(code, _space(why)).format(user=user, root=root))

    def _held(self, said: str) -> LockHeld:
        info, end = json.JSONDecoder().raw_decode(said) if said.startswith("{") else ({}, 0)
        holder = Holder.parse(json.dumps(info), said[end:].strip())
        return LockHeld(self.host, str(holder), mark=str(info.get("mark", "")))

    def _until(self, timeout_s: float) -> str:
        """What the bootstrap said of itself, without the random word; a profile's greeting before it is skipped."""
        end = time.monotonic() + timeout_s
        while True:
            for line in bytes(self._out).split(b"\n")[:-1]:
                kind, _, rest = line.partition(b" " + self.word)
                if rest or line.endswith(self.word):
                    if kind in (b"BUSY", b"FAIL"):
                        del self._out[: self._out.index(line + b"\n") + len(line)]
                        return text_of(kind + rest)
                    if kind == b"READY" and (at := self._err.find(line + b"\n")) >= 0:
                        del self._out[: self._out.index(line + b"\n") + len(line)]
                        del self._err[: at + len(line)]
                        return "READY"
            if not self._more(end):
                greeting = text_of(self._out + self._err).strip().splitlines()
                said = f": {greeting[-1][:120]}" if greeting else ""
                late = f" within {timeout_s:g} s" if time.monotonic() >= end else ""
                ssh = by_hand(self.connection.host, user=self.connection.user, port=self.connection.port)
                raise Unreachable(
                    f"{self.host}: /bin/sh did not start{late}{said}",
                    hint=f"does `{ssh} /bin/sh -c true` end at once? the login shell, its profile (an `exec` in"
                    " ~/.bashrc) or a ForceCommand may prevent it",
                )
            del self._out[:-KEPT], self._err[:-KEPT]

    def _end(self, timeout_s: float, hear_out: Hear | None) -> tuple[bytearray, bytearray, int]:
        """Read both streams up to their ends; lines are heard on the way."""
        end, mark = time.monotonic() + timeout_s, b"\nEND %s " % self.word
        out = Heard(mark, hear_out, keep=0 if hear_out else sys.maxsize)
        err = Heard(mark, lambda line: self.hear(line) if line.strip() else None, keep=KEPT)
        while True:
            out.take(self._out)
            err.take(self._err)
            if out.code is not None and err.code is not None:
                return out.kept, err.kept, out.code
            if not self._more(end):
                raise self._lost()

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
                self._lives()
                return True
            if ended or not self._bell.wait(max(0.0, end - time.monotonic())):
                return False

    def _send(self, data: bytes) -> None:
        try:
            with self._sending:
                self._channel.sendall(data)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self._lost(str(error)) from error

    def _beat(self) -> None:
        while not self._closed.wait(self.limits.lock_s / BEATS):
            try:
                self._send(b"\n")
            except OutcomeUnknown:
                return  # whoever runs a step finds out

    def _pulse(self) -> None:
        """Give up a line that is silent: TCP does not tell when what is dead lies behind a jump host."""
        transport, asked = self.connection.transport, None
        while not self._closed.wait(self.limits.silent_s / PULSES):
            if not asked or not asked.is_alive():
                if asked:
                    self._lives()
                asked = threading.Thread(target=_ask, args=(transport,), name=f"ask {self.host}", daemon=True)
                asked.start()
            if time.monotonic() - self._alive > self.limits.silent_s:
                self._silent = f"not a sign of life for {self.limits.silent_s:g} s"
                transport.close()

    def _lives(self) -> None:
        """Something came from there, or could be sent on, which a queue of our own would not let us see otherwise."""
        self._alive = time.monotonic()

    def _failed(self, name: str, code: int, said: list[str], *, own: str = "") -> StepFailed:
        return StepFailed(self.host, name, code, said[-20:], hint=_space(" ".join(said)), own=own)

    def _lost(self, why: str = "") -> OutcomeUnknown:
        self._closed.set()  # no beat any more
        return self._unknown(why)

    def _unknown(self, why: str = "") -> OutcomeUnknown:
        return OutcomeUnknown(self.host, self._step, self._silent or why or "the connection was closed")


def _ask(transport: paramiko.Transport) -> None:
    """What sshd always answers, be it with a refusal."""
    with suppress(paramiko.SSHException, EOFError, OSError):
        transport.global_request("keepalive@openssh.com")


_HINTS = {
    "65": "give another root in deploy.toml",
    "66": "`inv setup` makes it; where it may not, it prints the command that does",
    "69": "install it there: setsid and flock are in util-linux, timeout is in coreutils",
    "77": "all of it must belong to the deploy account; on the host, once: sudo chown -R {user} {root}",
}


_CAUSES = ("Permission denied", "No space left on device", "Disk quota exceeded", "Read-only file system")


def _space(said: str) -> str:
    full = "No space left on device" in said or "quota exceeded" in said
    return "`inv prune` removes releases that nothing needs" if full else ""
