"""Scripts as lines on the stdin of a session: what the host undoes again."""

from collections.abc import Sequence

SEPARATOR = b"\x1e"  # between the steps of one line
ARGUMENT = 1 << 17  # so long Linux lets one argument of a program be, its end counted: a line is one

Script = tuple[str, float]  # rendered, and its limit in seconds


def escaped(script: str) -> bytes:
    """A script as one line that ``printf %b`` undoes, and without our `SEPARATOR`."""
    line = script.replace("\\", "\\\\").replace("\n", "\\n").replace(SEPARATOR.decode(), "\\0036")
    return line.encode("utf-8", "surrogateescape")


def request(script: Script) -> bytes:
    """A script and its limit, as the host reads them."""
    text, timeout_s = script
    return b"%d %s" % (max(1, round(timeout_s)), escaped(text))


def chained(scripts: Sequence[Script]) -> bytes:
    """One line for all of them; none when a host would not take it.

    It is a comment to any other shell, which a profile may have put in the place of the one that was asked.
    """
    line = SEPARATOR.join(map(request, scripts))
    return b"#%s\n" % line if line and len(line) < ARGUMENT else b""
