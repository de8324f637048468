"""The line to one host: channels over it, and whether it still lives."""

import threading
import time
from contextlib import suppress

import paramiko
from fabric import Connection

from .channels import execute
from .errors import OutcomeUnknown, StepFailed, Unreachable
from .lines import packed
from .settings import Limits

PULSES = 4  # so often sshd itself is asked for a sign of life before the line is given up
OPEN_S = 30

# All that the login shell has to understand, whichever it is: one line, single quotes only, no backslash (fish eats
# it), no exclamation mark (csh). The program comes with it, as a word: sshd lets nothing be sent on stdin before it has
# begun the command, which is a round trip later. What is lacking is told as the program tells it, by the word in $3.
BOOT = (
    """exec /bin/sh -c 'for tool in base64 gzip; do command -v $tool >/dev/null || """
    """{ echo; echo "FAIL $3 69 it has no $tool"; exit 69; }; done; """
    """eval "$(printf %s "$1" | base64 -d | gzip -dc)"' switchover"""
)


class Line:
    """A *connection* with *host*; *step* is what is on its way, and *gone* is set once nothing can come any more.

    *silent* says why, where the line was given up because nothing came.
    """

    def __init__(self, connection: Connection, host: str, limits: Limits) -> None:
        self.connection, self.host, self.limits = connection, host, limits
        self.step = "the start of the session"
        self.gone = threading.Event()
        self.silent, self._alive = "", time.monotonic()

    def open(self, program: str, *words: str, limit_s: float | None = None) -> paramiko.Channel:
        """A channel whose far end runs *program*, given *words*; with *limit_s* both its streams are one."""
        try:
            transport: paramiko.Transport = self.connection.transport
            channel = transport.open_session(timeout=OPEN_S)
            channel.set_combine_stderr(limit_s is not None)
            channel.settimeout(limit_s)
            execute(channel, command(program, *words))
        except (paramiko.SSHException, EOFError, OSError) as error:
            if not isinstance(error, paramiko.ChannelException):  # which sshd gives, and goes on
                self.gone.set()
            raise Unreachable(f"{self.host}: no channel: {error or 'the connection was closed'}") from error
        return channel

    @property
    def takes_much(self) -> bool:
        """Does sshd take a command as long as the host does? OpenSSH's does."""
        return "OpenSSH" in self.connection.transport.remote_version

    def pulse(self) -> None:
        """Give up a line that is silent: TCP does not tell when what is dead lies behind a jump host."""
        transport, asked = self.connection.transport, None
        while not self.gone.wait(self.limits.silent_s / PULSES):
            if not asked or not asked.is_alive():
                if asked:
                    self.lives()
                asked = threading.Thread(target=_ask, args=(transport,), name=f"ask {self.host}", daemon=True)
                asked.start()
            if time.monotonic() - self._alive > self.limits.silent_s:
                self.silent = f"not a sign of life for {self.limits.silent_s:g} s"
                transport.close()

    def lives(self) -> None:
        """Something came from there, or could be sent on, which a queue of our own would not let us see otherwise."""
        self._alive = time.monotonic()

    def failed(self, name: str, code: int, said: list[str], *, own: str = "") -> StepFailed:
        """The step *name* has ended with *code*, with what it *said* last; *own*: in our own words."""
        return StepFailed(self.host, name, code, said[-20:], hint=space(" ".join(said)), own=own)

    def lost(self, why: str = "") -> OutcomeUnknown:
        """What is raised when it is known to be gone; nobody tries it again."""
        self.gone.set()  # no beat any more
        return self.unknown(why)

    def unknown(self, why: str = "") -> OutcomeUnknown:
        """What is raised when nothing comes of what is on its way: it may have been done."""
        return OutcomeUnknown(self.host, self.step, self.silent or why or "the connection was closed")


def command(program: str, *words: str) -> str:
    """What sshd is asked to run: *program*, whose words are *words*."""
    return " ".join((BOOT, *(f"'{word}'" for word in (packed(f"shift\n{program}"), *words))))


def _ask(transport: paramiko.Transport) -> None:
    """What sshd always answers, be it with a refusal."""
    with suppress(paramiko.SSHException, EOFError, OSError):
        transport.global_request("keepalive@openssh.com")


def space(said: str) -> str:
    """What helps where no space is left, by what was *said*; else nothing."""
    full = "No space left on device" in said or "quota exceeded" in said
    return "`inv prune` removes releases that nothing needs" if full else ""
