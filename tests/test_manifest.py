"""A manifest names a release: the same tree, the same digest, whatever the names are."""

import gzip
import subprocess

import pytest

from releases.manifest import FILE, FOLDER, LINK, Entry, Manifest, ManifestError, difference

HOSTILE = ('it\'s $(a) "b"', "two\nlines", "tab\there", "back\\slash", "\\0101", "naïve", "\udcff\udcfe", "-rf", "*")


def file(path: str, digit: str = "a", mode: int = 0o644) -> Entry:
    return Entry(path, FILE | mode, digit * 64, 1)


def test_the_order_of_a_walk_does_not_change_the_digest():
    """Two controllers name the same tree alike."""
    one, two = file("b"), file("a/c")
    assert Manifest.of([one, two]).digest == Manifest.of([two, one]).digest


@pytest.mark.parametrize(
    "other", [file("b"), file("a", "b"), file("a", mode=0o755), Entry("a", FILE | 0o644, "a" * 64, 2)]
)
def test_any_change_of_path_content_mode_or_size_changes_the_digest(other: Entry):
    """What differs is another release."""
    assert Manifest.of([other]).digest != Manifest.of([file("a")]).digest


def test_a_folder_stands_before_what_it_holds():
    """Who reads in order can make each path as it comes."""
    paths = ["a", "a/b", "a/b/c", "a.b", "a-", "a b"]
    ordered = [entry.path for entry in Manifest.of(file(path) for path in reversed(paths)).entries]
    assert ordered.index("a") < ordered.index("a/b") < ordered.index("a/b/c")


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_survives_packing(name: str):
    """Quotes, newlines and bytes that are no text included."""
    manifest = Manifest.of([file(name), Entry(f"{name} link", LINK | 0o777, "b" * 64, 3)])
    assert Manifest.unpacked(manifest.packed()) == manifest


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("shell", [("dash",), ("bash",), ("busybox", "sh")])
def test_a_shell_reads_each_name_as_it_was(name: str, shell: tuple[str, ...]):
    """A line has four words, and ``printf %b`` undoes the escapes of the last."""
    *words, escaped = Manifest.of([file(name)]).text.decode().rstrip("\n").split(" ")
    assert len(words) == 3
    printed = subprocess.run([*shell, "-c", 'printf %b "$1"', "sh", escaped], stdout=subprocess.PIPE, check=True)
    assert printed.stdout == name.encode("utf-8", "surrogateescape")


def test_packing_the_same_twice_gives_the_same_bytes():
    """No time stamp gets in."""
    assert Manifest.of([file("a")]).packed() == Manifest.of([file("a")]).packed()


def damaged(packed: bytes) -> bytes:
    return packed[:12] + bytes(byte ^ 0xFF for byte in packed[12:20]) + packed[20:]


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"not gzip",
        Manifest.of([file("a")]).packed()[:-9],
        damaged(Manifest.of([file("a")]).packed()),
        gzip.compress(b"one two three\n"),
        gzip.compress(b"sum 9 1 path\n"),
        gzip.compress("sum 100644 1 naïve\n".encode()),
        gzip.compress(b"sum 100644 1 \\0777\n"),
    ],
    ids=["empty", "not gzip", "cut", "damaged", "three words", "no octal mode", "not ASCII", "no byte"],
)
def test_what_is_not_a_manifest_is_said_so(packed: bytes):
    """A cut or damaged file is never read as a smaller release."""
    with pytest.raises(ManifestError):
        Manifest.unpacked(packed)


def test_only_what_is_exactly_the_same_is_not_sent():
    """Another mode is another file, since a hard link shares it."""
    base = Manifest.of([file("same"), file("content"), file("mode"), file("gone")])
    new = Manifest.of([file("same"), file("content", "b"), file("mode", mode=0o755), file("new")])
    found = difference(new, base)
    assert [entry.path for entry in found.same] == ["same"]
    assert [entry.path for entry in found.sent] == ["content", "mode", "new"]
    assert [entry.path for entry in found.removed] == ["gone"]


def test_folders_and_links_are_always_sent():
    """They can't be hard-linked, and are only names."""
    manifest = Manifest.of([Entry("d", FOLDER | 0o755, "-", 0), Entry("l", LINK | 0o777, "c" * 64, 4)])
    found = difference(manifest, manifest)
    assert found.sent == manifest.entries
    assert found.bytes_sent == 4


def test_a_first_release_sends_everything():
    """Nothing is there to link to."""
    manifest = Manifest.of([file("a"), file("b")])
    assert difference(manifest, None).sent == manifest.entries
