"""Names and paths on a host: one root is one application, and everything in it belongs to one deploy account."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

from .errors import UsageError

NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Release:
    """One immutable directory under ``releases/``; age comes from the journal, not from the name.

    >>> Release.at(datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC), digest="9fceb02c41")
    Release(name='20310504T030201Z-9fceb02c')
    """

    name: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"not the name of a release: {self.name!r}")

    def __str__(self) -> str:
        return self.name

    @classmethod
    def at(cls, moment: datetime, *, digest: str) -> "Release":
        """Name what has this manifest *digest* and was built at *moment* (aware, any zone)."""
        return cls(f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest[:8]}")

    @classmethod
    def new(cls, moment: datetime, *, digest: str, taken: Collection["Release"]) -> "Release":
        """As `at`, and as many seconds later as the name is *taken*: by a deploy of the same that died just now.

        >>> moment = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)
        >>> Release.new(moment, digest="9fceb02c41", taken=[Release.at(moment, digest="9fceb02c41")])
        Release(name='20310504T030202Z-9fceb02c')
        """
        while (release := cls.at(moment, digest=digest)) in taken:
            moment += timedelta(seconds=1)
        return release

    @classmethod
    def parse(cls, text: str) -> "Release | None":
        """Read the name of a release; None for any other text, so that strangers are left alone."""
        return cls(text) if NAME.fullmatch(text) else None

    @classmethod
    def named(cls, text: str) -> "Release":
        """Read the name that somebody typed; `UsageError` for any other text."""
        if found := cls.parse(text):
            return found
        raise UsageError(f"{text!r} is not the name of a release", hint="`inv releases` lists them")

    @property
    def short_digest(self) -> str:
        """The first eight hexadecimal digits of the digest of its manifest."""
        return self.name[-8:]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things lie below one root."""

    root: PurePosixPath

    @property
    def current(self) -> PurePosixPath:
        """The link that names the live release; replaced only by rename(2)."""
        return self.root / "current"

    @property
    def shared(self) -> PurePosixPath:
        """What outlives releases."""
        return self.root / "shared"

    @property
    def private(self) -> PurePosixPath:
        """What is ours: journal, manifests, lock, arms, pins."""
        return self.root / ".switchover"

    def directory(self, release: Release) -> PurePosixPath:
        """The directory of *release*."""
        return self.root / "releases" / release.name

    def relative(self, release: Release) -> str:
        """What ``current`` says when *release* is live: relative, so that the root may be mounted elsewhere."""
        return f"releases/{release.name}"

    def manifest(self, release: Release) -> PurePosixPath:
        """The manifest of *release*; a release without one is debris."""
        return self.private / "manifests" / f"{release.name}.gz"
