"""Hosts of pure tests: what a survey would have answered, without a host."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import PurePosixPath

from releases.answer import Answer
from releases.config import Config
from releases.facts import Facts
from releases.layout import Release
from releases.manifest import FILE, Entry, Manifest
from releases.processes.kinds import kinds
from releases.surveyed import NEEDED, Surveyed
from releases.switching import Author

A, B, C, D = (Release(f"2026112{i}T000000Z-{i:08x}") for i in range(1, 5))
ANA = Author("ana", "laptop")
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def config(**more: object) -> Config:
    """A Config with the three things that every one has."""
    return Config.model_validate({"app": "shop", "root": PurePosixPath("/srv/shop"), **more})


def live(number: int, release: Release, previous: Release | None = None, verb: str = "deploy") -> str:
    """The journal lines of one proven deploy."""
    return (
        f'{{"event":"deploy","deploy":{number},"verb":"{verb}","release":"{release}"}}\n'
        f'{{"event":"live","deploy":{number},"verb":"{verb}","release":"{release}","previous":"{previous or ""}"}}'
    )


def host(
    current: Release | None = None,
    *,
    complete: Iterable[Release] = (),
    journal: Iterable[str] = (),
    settings: Config | None = None,
    name: str = "web1",
    **answers: str | Iterable[str],
) -> Surveyed:
    """A host on which *current* is live; *answers* add to what its survey said, and override it."""
    found = settings or config()
    told: dict[str, object] = {
        "root": "ok",
        "live": f"releases/{current}" if current else "",
        "live_kind": "link" if current else "missing",
        "free_kib": "10000000",
        "free_inodes": "100000",
        "uid": "1000",
        "user": "deploy",
        "now": str(int(NOW.timestamp())),
        "tool": ("curl", "systemctl", *NEEDED),
        "release": tuple(map(str, complete)),
        "journal": tuple(line for lines in journal for line in lines.splitlines()),
        **answers,
    }
    pairs = [(k, str(v)) for k, vs in told.items() for v in ((vs,) if isinstance(vs, str) else vs)]  # type: ignore[attr-defined]
    facts = Facts.of(name, Answer(tuple(pairs)), now=NOW)
    return Surveyed(name, f"deploy@{name}", found, kinds(found), facts)


def manifest(*names: str, size_bytes: int = 1) -> Manifest:
    """A manifest of files whose content is their name."""
    return Manifest.of(Entry(n, FILE | 0o644, n.encode().hex().ljust(64, "0")[:64], size_bytes) for n in names)
