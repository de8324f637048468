"""One host over SSH: the lock, run a script, close."""

import json
import math
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

import paramiko
from fabric import Connection

from .addresses import by_hand
from .answer import Answer
from .bulk import Bulk
from .ends import Ends
from .errors import LockHeld, OutcomeUnknown, Refused, StepFailed, Unreachable
from .holder import Holder
from .line import OPEN_S, Line, space
from .lines import ARGUMENT, RELEASE, Script, chained, packed, request
from .scripts import quoted, source
from .settings import Limits
from .streams import NOT_BEGUN, Hear, text_of

BEATS = 3  # so many go to a host before it gives the session up
END_S = 5  # so long the end of a session is waited for
SHORT = 8_000  # bytes of a command that every sshd takes: Dropbear's limit is 9 000


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
        self.host, self.hear, self.connection, self._locks = host, hear, connection, bool(lock)
        self._free, self._forgetting = False, threading.Lock()  # has the lock been let go?
        self.limits, self._ahead, self._sending = limits or Limits(), deque[bytes](), threading.Lock()
        self.line = Line(connection, host, self.limits)
        word = os.urandom(12).hex()
        self.bulk = Bulk(self.line, word.encode())
        patience, wait = math.ceil(self.limits.lock_s), math.ceil(wait_s)
        program = self._program(first)
        self._channel = self.line.open(program, lock, word, str(patience), str(wait))
        self._ends = Ends(self.line, self._channel, word.encode())
        self._keep(self.line.pulse)
        try:
            self._ready(lock, wait, waits)
        except BaseException:
            self.line.gone.set()
            raise
        self._keep(self._beat)

    def _keep(self, keep: Callable[[], None]) -> None:
        threading.Thread(target=keep, name=f"{keep.__name__} {self.host}", daemon=True).start()

    def _program(self, first: Sequence[Script]) -> str:
        """What the far end runs, and with it what it is asked *first*, unless that is too much for a command."""
        requests = tuple(map(request, first))
        early = text_of(chained(requests).rstrip(b"\n"))
        program = f'set -- "$@" {quoted((source("session/runner.sh"), early))}\n{source("session/main.sh")}'
        if early and len(packed(program)) > (ARGUMENT // 2 if self.line.takes_much else SHORT):
            return self._program(())
        self._ahead.extend(requests if early else ())
        return program

    def ahead(self, name: str, scripts: Sequence[Script], *, last: bool = False) -> None:
        """Send *scripts* that `run` will be asked for in this order, the first by *name*: one round trip for all.

        Behind one that fails, or that finds something, the host begins none. What is not asked for is done, too. Behind
        the *last* it lets the lock go where all of them went well, so that nobody need wait for the end of the session.
        """
        requests = tuple(map(request, scripts)) + ((RELEASE,) if last and self._locks else ())
        if tuple(self._ahead)[: len(requests)] == requests:
            return  # with what came before them
        if line := chained(requests):
            self.line.step = name
            self._forget()
            self._check_locked()
            self._send(line)
            self._ahead.extend(requests)

    def run(
        self, name: str, script: str, *, timeout_s: float = 600.0, out: Hear | None = None, finds: int = 0
    ) -> Answer:
        """Run one rendered script and return what it answered; its stderr is heard as it arrives. One round trip.

        With *out* each line of its stdout is handed there as it arrives instead, and nothing of it is kept. With the
        exit code *finds* it has answered, too.

        Raises `StepFailed` with the exit code and the last 20 lines of stderr; `OutcomeUnknown` when the line drops
        first: the host may have done it.
        """
        self.line.step = name
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
            raise self.line.failed(name, code, text_of(err).splitlines(), own=Answer.parse(text_of(said)).one("record"))
        return Answer.parse(text_of(said))

    def _answered(self, line: bytes, timeout_s: float, out: Hear | None) -> tuple[bytearray, bytearray, int]:
        """What was answered to what was sent ahead, or is sent now."""
        if not self._ahead or self._ahead[0] != line:
            self._forget()
            self._check_locked()
            self._ahead.append(line)  # Ctrl-C may come before its answer, which is not that of the next
            self._send(b"%s\n" % line)
        ended = self._ends.next(timeout_s, self.hear, out)
        self._ahead.popleft()
        return self._answered(line, timeout_s, out) if ended[2] == NOT_BEGUN else ended

    def _forget(self) -> None:
        """Wait for what was sent ahead and is not asked for any more."""
        with self._forgetting:
            while self._ahead:
                code = self._ends.next(self._patience_s(self._ahead[0]), self.hear, None)[2]
                self._free |= self._ahead.popleft() == RELEASE and code == 0

    def _patience_s(self, sent: bytes) -> float:
        return END_S if sent == RELEASE else float(sent.partition(b" ")[0]) + self.limits.lock_s

    def _check_locked(self) -> None:
        """Nothing is sent to a host whose lock was let go: it may be another's by now."""
        if self._free:
            raise self.line.lost("its lock has been let go")

    @property
    def lost(self) -> bool:
        """Whether nothing can be asked any more: the line is gone, or the lock was let go behind the last step."""
        with suppress(OutcomeUnknown):
            if RELEASE in self._ahead:
                self._forget()
        return self.line.gone.is_set() or self._free

    def close(self) -> None:
        """End the session and its connection; the lock is free when this returns, unless the line is gone."""
        self.end()
        self.connection.close()

    def end(self) -> None:
        """End the session alone."""
        if not self.line.gone.is_set():
            with suppress(OutcomeUnknown):
                if not self._released():
                    self._send(b"bye\n")
                    # not recv(): a daemon may keep stdout open
                    self._channel.status_event.wait(END_S)
            self.line.gone.set()
        with suppress(paramiko.SSHException, EOFError, OSError):  # of a line that has just dropped
            self._channel.close()

    def _released(self) -> bool:
        """Has the lock been let go? Not waited for where another step comes before that."""
        if self._ahead == deque([RELEASE]):
            self._forget()
        return self._free

    def _ready(self, lock: str, wait_s: float, waits: Callable[[LockHeld], None]) -> None:
        line = self._first(OPEN_S)
        kind, _, rest = line.partition(" ")
        if kind == "BUSY" and wait_s:
            waits(self._held(rest))
            kind, _, rest = self._first(wait_s + OPEN_S).partition(" ")
        if kind == "BUSY":
            raise self._held(rest)
        if kind == "FAIL":
            code, _, why = rest.partition(" ")
            user, root = self.connection.user, lock.rpartition("/.switchover/")[0]
            raise Refused(f"{self.host}: {why}", hint=_HINTS.get(code, space(why)).format(user=user, root=root))

    def _first(self, timeout_s: float) -> str:
        if said := self._ends.first(timeout_s):
            return said
        if self.line.silent:
            raise Unreachable(f"{self.host}: {self.line.silent}", hint="is it up, and the network between?")
        late = "" if self._channel.closed or self._channel.eof_received else f" within {timeout_s:g} s"
        greeting = f": {self._ends.greeting}" if self._ends.greeting else ""
        ssh = by_hand(self.connection.host, user=self.connection.user, port=self.connection.port)
        raise Unreachable(
            f"{self.host}: /bin/sh did not start{late}{greeting}",
            hint=f"does `{ssh} /bin/sh -c true` end at once? the login shell, its profile (an `exec` in"
            " ~/.bashrc) or a ForceCommand may prevent it",
        )

    def _held(self, said: str) -> LockHeld:
        info, end = json.JSONDecoder().raw_decode(said) if said.startswith("{") else ({}, 0)
        holder = Holder.parse(json.dumps(info), said[end:].strip())
        return LockHeld(self.host, str(holder), mark=str(info.get("mark", "")))

    def _send(self, data: bytes) -> None:
        try:
            with self._sending:
                self._channel.sendall(data)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self.line.lost(str(error)) from error

    def _beat(self) -> None:
        while not self.line.gone.wait(self.limits.lock_s / BEATS):
            try:
                self._send(b"\n")
            except OutcomeUnknown:
                return  # whoever runs a step finds out
            self.bulk.beat()


_HINTS = {
    "65": "give another root in deploy.toml",
    "66": "`inv setup` makes it; where it may not, it prints the command that does",
    "69": "install it there: setsid and flock are in util-linux, timeout and base64 are in coreutils",
    "77": "all of it must belong to the deploy account; on the host, once: sudo chown -R {user} {root}",
}
