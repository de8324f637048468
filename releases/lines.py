"""Scripts as lines on the stdin of a session, and programs as words of a command: what the host undoes again."""

import base64
import gzip
from collections.abc import Sequence

SEPARATOR = b"\x1e"  # between the steps of one line
ARGUMENT = 1 << 17  # so long Linux lets one argument of a program be, its end counted: a line is one

RELEASE = b"release"  # behind the last step of a line: the lock is let go, if all went well

Script = tuple[str, float]  # rendered, and its limit in seconds


def escaped(script: str) -> bytes:
    """A script as one line that ``printf %b`` undoes, and without our `SEPARATOR`."""
    line = script.replace("\\", "\\\\").replace("\n", "\\n").replace(SEPARATOR.decode(), "\\0036")
    return line.encode("utf-8", "surrogateescape")


def packed(program: str) -> str:
    """A program as one word that every shell takes as it is, and that is short: some sshds take no long commands."""
    return base64.b64encode(gzip.compress(program.encode("utf-8", "surrogateescape"), 6, mtime=0)).decode()


def request(script: Script) -> bytes:
    """A script and its limit, as the host reads them."""
    text, timeout_s = script
    return b"%d %s" % (max(1, round(timeout_s)), escaped(text))


def chained(requests: Sequence[bytes]) -> bytes:
    """One line for all of them; none when a host would not take it."""
    line = SEPARATOR.join(requests)
    return line + b"\n" if line and len(line) < ARGUMENT else b""
