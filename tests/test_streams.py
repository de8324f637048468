"""What a session keeps of what a step says: each line is heard once, and memory does not grow with it."""

import sys

import pytest

from releases.streams import KEPT, Heard

MARK = b"\nEND 0f1e2d "


def heard(said: bytes, *, size: int, keep: int = sys.maxsize) -> tuple[list[str], Heard, int, bytearray]:
    """What is heard of *said* when it arrives in pieces of *size*; also the most that waited, and what is left."""
    lines: list[str] = []
    stream, waiting, most = Heard(MARK, lines.append, keep=keep), bytearray(b"\n"), 0
    for start in range(0, len(said), size):
        waiting += said[start : start + size]
        stream.take(waiting)
        most = max(most, len(waiting))
    return lines, stream, most, waiting


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("said", "lines"),
    [
        (b"", []),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\n\n", ["a", ""]),
        (b"\na", ["", "a"]),
        (b"a\nEND x 0\nb", ["a", "END x 0", "b"]),
        (b"oh\nno\n", ["oh", "no"]),
    ],
)
def test_each_line_is_heard_once_however_it_arrives(said: bytes, lines: list[str], size: int) -> None:
    """And what was kept is what was said, up to the mark; what follows is left for the next step."""
    found, stream, _, left = heard(said + MARK + b"7\nnext", size=size)
    assert (found, bytes(stream.kept), stream.code, bytes(left)) == (lines, said, 7, b"\nnext")


def test_what_is_kept_of_a_step_that_talks_much_is_its_tail() -> None:
    """A few hundred KB of many MB."""
    said = b"".join(b"line %d of many\n" % number for number in range(300_000)) + b"the reason"
    lines, stream, most, _ = heard(said + MARK + b"1\n", size=1 << 16, keep=KEPT)
    assert (len(lines), lines[-1], stream.code) == (300_001, "the reason", 1)
    assert len(stream.kept) <= 2 * KEPT
    assert stream.kept.endswith(b"\nthe reason")
    assert most <= 1 << 17


def test_a_line_without_an_end_is_heard_in_pieces() -> None:
    """And not gathered until there is one."""
    lines, stream, most, _ = heard(b"x" * (10 * KEPT) + MARK + b"0\n", size=1 << 16, keep=0)
    assert "".join(lines) == "x" * (10 * KEPT)
    assert (stream.code, stream.kept) == (0, b"")
    assert most <= KEPT + (1 << 16) + 1


def test_what_nobody_hears_is_kept_whole() -> None:
    """A manifest is one long line."""
    stream, waiting = Heard(MARK, None, keep=sys.maxsize), bytearray(b"\n")
    for _ in range(64):
        waiting += b"x" * (1 << 14)
        stream.take(waiting)
    waiting += MARK + b"0\n"
    stream.take(waiting)
    assert (bytes(stream.kept), stream.code) == (b"x" * (1 << 20), 0)
