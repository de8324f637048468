"""How a payload travels: what is worth to be compressed, and how large its pieces are."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from releases.manifest import difference
from releases.payload import Built, stream
from tests.payloads import NEW, OLD, TARS, built, extract, packed


@pytest.mark.parametrize("tar", TARS, ids=" ".join)
def test_what_is_compressed_already_is_sent_as_it_is(tar: tuple[str, ...], tmp_path: Path):
    """It costs no time, and what comes behind it is compressed again."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a.jpg").write_bytes(os.urandom(1 << 20))
    (tree / "b.txt").write_bytes(b"again and " * 100_000)
    (tree / "c.jpg").write_bytes(os.urandom(1 << 20))
    build = built(tree)
    payload = packed(build, difference(build.manifest, None))
    assert 2 << 20 < len(payload) < (2 << 20) + 100_000
    extract(tar, payload, tmp_path / "releases")
    for name in ("a.jpg", "b.txt", "c.jpg"):
        assert (tmp_path / "releases" / NEW.name / name).read_bytes() == (tree / name).read_bytes()


MB = 1 << 20


# What is changed, what is as it was, and whether it shrinks.
MADE_OF: dict[str, tuple[Callable[[], dict[str, bytes]], int, bool]] = {
    "a video": (lambda: {"a.mp4": os.urandom(3 * MB), "index.html": b"<p>" * 1000}, 0, False),
    "an archive, with a table where it ends": (lambda: {"a.zip": os.urandom(2 * MB) + b"name" * 5_000}, 0, False),
    "a text": (lambda: {"a.sql": b"insert into " * MB}, 0, True),
    "a video and as much text": (lambda: {"a.mp4": os.urandom(3 * MB), "a.sql": b"select " * (MB // 2)}, 0, True),
    "a thousand pictures": (lambda: {f"{number}.jpg": os.urandom(4096) for number in range(1000)}, 0, True),
    "an image of a disk": (lambda: {"disk": os.urandom(MB) + bytes(2 * MB)}, 0, True),
    "a picture among a thousand files that are there": (lambda: {"a.jpg": os.urandom(MB)}, 1000, True),
    "nothing": (dict, 0, True),
}


@pytest.mark.parametrize("name", MADE_OF)
def test_only_what_shrinks_is_worth_the_time_that_unpacking_takes(name: str, tmp_path: Path):
    """gzip reads through a gigabyte that is only wrapped as slowly as through one that is compressed."""
    changed, same, shrinks = MADE_OF[name]
    for number in range(same):
        (tmp_path / f"same {number}").write_bytes(b"x")
    before = built(tmp_path)
    for path, content in changed().items():
        (tmp_path / path).write_bytes(content)
    build = built(tmp_path)
    assert Built(build).shrinks(difference(build.manifest, before.manifest)) == shrinks


def test_what_comes_behind_what_does_not_shrink_is_compressed_again(tmp_path: Path):
    """The names of what is there already are most of what travels."""
    for number in range(1000):
        (tmp_path / f"same {number}").write_bytes(b"x")
    before = built(tmp_path)
    (tmp_path / "a.jpg").write_bytes(os.urandom(MB))
    build = built(tmp_path)
    found = difference(build.manifest, before.manifest)
    assert len(packed(build, found, OLD)) < MB + 100_000


def test_pieces_that_are_not_worth_a_packet_wait_for_each_other(tmp_path: Path):
    """A header alone is none."""

    class Pieces(list[int]):
        def write(self, data: bytes) -> None:
            self.append(len(data))

    for number in range(1000):
        (tmp_path / str(number)).write_bytes(b"x")
    build, pieces = built(tmp_path), Pieces()
    found = difference(build.manifest, None)
    stream(Built(build), NEW, found, None, b"", into=pieces, progress=lambda _: None, mtime=0, packs=False)
    assert min(pieces[:-1]) >= 1 << 18
    assert sum(pieces) > 1000 * 1024
