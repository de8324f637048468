"""Unpacks an artifact so that nothing in it can leave the folder it is unpacked into."""

import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from .errors import Refused
from .filling import HARD_LINK, Filling, Member
from .manifest import FILE, FOLDER, LINK

LONGEST_TARGET = 4096  # PATH_MAX of Linux


def unpack(archive: Path, into: Path) -> None:
    """Unpack a .tar.gz, .tgz or .zip into the folder *into*, which is made if it is missing.

    Permissions are kept (the owner may always read); setuid, setgid and sticky bits, owners and times are
    not. `Refused`, by name, for an entry that would leave *into* or is no file, folder or link, and for an
    archive that is broken; what was unpacked before is left there.
    """
    if archive.name.lower().endswith((".tar.gz", ".tgz")):
        unpacking = _unpack_tar_gz
    elif archive.name.lower().endswith(".zip"):
        unpacking = _unpack_zip
    else:
        raise Refused(f"{archive.name} is not an artifact", hint="pack it as .tar.gz, .tgz or .zip")
    if not archive.is_file():
        raise Refused(f"no such artifact: {archive}")
    with _complete(archive.name):
        unpacking(archive, Filling(archive.name, into))


def unpack_export(stream: IO[bytes], into: Path) -> None:
    """Unpack what ``git archive`` writes; links may lead anywhere, since not all need be shipped."""
    with (
        _complete("git archive"),
        tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape") as tar,
    ):
        Filling("git archive", into, closed=False).fill(_tar_members(tar))
        while stream.read(1 << 18):  # so that git can end
            pass


@contextmanager
def _complete(archive: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise Refused(f"{archive} is broken: {error}", hint="build it or fetch it again") from error


def _unpack_tar_gz(archive: Path, target: Filling) -> None:
    with gzip.open(archive) as stream:
        with tarfile.open(fileobj=stream, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
            target.fill(_tar_members(tar))
        while rest := stream.read(1 << 18):  # to the end, where gzip keeps its check sum
            if rest.strip(b"\0"):  # tarfile takes a header it can't read for the end
                raise tarfile.ReadError("there is something after its end")


def _tar_members(tar: tarfile.TarFile) -> Iterator[Member]:
    for info in tar:
        yield Member(info.name, _tar_kind(info), info.mode, info.linkname, partial(_content, tar, info))


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(info)
    assert content
    return content


def _tar_kind(info: tarfile.TarInfo) -> int:
    kinds = ((info.isreg(), FILE), (info.isdir(), FOLDER), (info.issym(), LINK), (info.islnk(), HARD_LINK))
    return next((kind for true, kind in kinds if true), 0)


def _unpack_zip(archive: Path, target: Filling) -> None:
    with zipfile.ZipFile(archive) as opened:
        target.fill(_zip_member(opened, info) for info in opened.infolist())


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    name, mode = _zip_name(info), info.external_attr >> 16
    kind = FOLDER if info.is_dir() else stat.S_IFMT(mode) or FILE
    permissions = mode & 0o777 or (0o755 if kind == FOLDER else 0o644)
    if info.flag_bits & 1:
        raise zipfile.BadZipFile(f"{name!r} is encrypted")
    return Member(name, kind, permissions, _zip_target(archive, info, kind), partial(_opened, archive, info))


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The name as it was: bytes, where zip says Unix and not UTF-8 (zipfile takes them for code page 437)."""
    if info.create_system == 3 and not info.flag_bits & 0x800:
        return info.orig_filename.encode("cp437").decode("utf-8", "surrogateescape")
    return info.orig_filename


def _zip_target(archive: zipfile.ZipFile, info: zipfile.ZipInfo, kind: int) -> str:
    if kind != LINK:
        return ""
    with _opened(archive, info) as content:
        return content.read(LONGEST_TARGET).decode("utf-8", "surrogateescape")


def _opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    try:
        return archive.open(info)
    except NotImplementedError as error:
        raise zipfile.BadZipFile(str(error)) from error
