"""The header of a hard link is what tarfile makes of it, byte for byte."""

import tarfile

import pytest

from releases.headers import NAME_BYTES, header

NAMES = {
    "plain": "r/static/app.js",
    "not ASCII": "r/bücher/ß.html",
    "no UTF-8": "r/\udcff.html",
    "as long as a name may be": "r/" + "x" * (NAME_BYTES - 2),
    "longer": "r/" + "x" * NAME_BYTES,
    "longer in bytes": "r/" + "ß" * (NAME_BYTES // 2),
}


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("name", NAMES)
def test_the_header_of_a_hard_link_is_that_of_tarfile(name: str, target: str) -> None:
    """Whatever its names are, and where they are too long as well."""
    for mode, mtime in ((0o444, 1_700_000_000), (0o555, 0)):
        member = tarfile.TarInfo(NAMES[name])
        member.type, member.mode, member.mtime, member.linkname = tarfile.LNKTYPE, mode, mtime, NAMES[target]
        wanted = member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
        assert header(NAMES[name], tarfile.LNKTYPE, mode, mtime, target=NAMES[target]) == wanted
