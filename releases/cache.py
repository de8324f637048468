"""The manifests of releases, kept on the controller, so that the next deploy need not fetch that of its base."""

import os
import threading
from pathlib import Path

from .layout import Release

KEPT = 200


def remembered(release: Release) -> bytes | None:
    """Its manifest, packed; None when it is not kept here."""
    try:
        return _kept(release).read_bytes()
    except OSError:
        return None


def remember(release: Release, packed: bytes) -> None:
    """Keep a manifest for the next deploy, and the newest `KEPT` in all; what cannot be kept is asked for again."""
    try:
        _cache().mkdir(parents=True, exist_ok=True)
        fresh = _cache() / f".{release.name}.{os.getpid()}.{threading.get_ident()}"
        fresh.write_bytes(packed)
        fresh.replace(_kept(release))
        for old in sorted(_cache().glob("*.gz"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError:
        return


def _kept(release: Release) -> Path:
    return _cache() / f"{release.name}.gz"


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "switchover" / "manifests"
