"""Scripts as lines on the stdin of a session, and programs as words of a command: what the host undoes again."""

import base64
import gzip
from collections.abc import Sequence
from shlex import quote

SEPARATOR = "\x1e"  # between the steps of one line
NEWLINE = "\x1d"  # between the lines of a script: to split at a byte a shell starts no process
ARGUMENT = 1 << 17  # so long Linux lets one argument of a program be, its end counted: a line is one

_ESCAPES = (("\\", "\\\\"), ("\n", "\\n"), (SEPARATOR, "\\0036"), (NEWLINE, "\\0035"))
RELEASE = b"release"  # behind the last step of a line: the lock is let go, if all went well

Script = tuple[str, float]  # rendered, and its limit in seconds


def escaped(script: str) -> bytes:
    """A script as one line; one that has a byte of ours, in a name that somebody gave, as what undoes an escape.

    >>> escaped("cd /srv\\nls")
    b'cd /srv\\x1dls'
    >>> print(escaped("ls '\\x1e'").decode())
    eval "$(printf %b 'ls '"'"'\\0036'"'"'')"
    """
    if SEPARATOR in script or NEWLINE in script:
        for byte, escape in _ESCAPES:
            script = script.replace(byte, escape)
        script = f'eval "$(printf %b {quote(script)})"'
    return script.replace("\n", NEWLINE).encode("utf-8", "surrogateescape")


def packed(program: str) -> str:
    """A program as one word that every shell takes as it is, and that is short: some sshds take no long commands."""
    return base64.b64encode(gzip.compress(program.encode("utf-8", "surrogateescape"), 6, mtime=0)).decode()


def request(script: Script) -> bytes:
    """A script and its limit, as the host reads them."""
    text, timeout_s = script
    return b"%d %s" % (max(1, round(timeout_s)), escaped(text))


def chained(requests: Sequence[bytes]) -> bytes:
    """One line for all of them; none when a host would not take it."""
    line = SEPARATOR.encode().join(requests)
    return line + b"\n" if line and len(line) < ARGUMENT else b""
