"""Manifests that are kept on the controller: what is there may be damaged, and many threads write at once."""

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from releases.answer import Answer
from releases.cache import remember, remembered
from releases.fleet import Fleet
from releases.layout import Release
from releases.report import Report
from tests.hosts import ANA, NOW, host, manifest

MANIFEST = manifest(*(f"file{n}" for n in range(100)))
RELEASE = Release.at(NOW, digest=MANIFEST.digest)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of our own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "switchover" / "manifests"


def asked(given: bytes) -> tuple[object, int]:
    """The manifest by a fleet whose host has *given*, and how often that was asked."""
    runs: list[str] = []
    fleet = Fleet((), Report(), ANA)
    answer = Answer((("manifest", base64.b64encode(given).decode()),))
    fleet.run = lambda name, step, **more: runs.append(name) or answer  # type: ignore
    return fleet.manifest(replace(host(), name="web1"), RELEASE), len(runs)


@pytest.mark.parametrize(
    "kept", [b"", MANIFEST.packed()[:-9], manifest("other").packed()], ids=["empty", "short", "another"]
)
def test_what_is_kept_and_damaged_is_fetched_again(kept: bytes) -> None:
    """And then kept as it should be."""
    remember(RELEASE, kept)
    assert asked(MANIFEST.packed()) == (MANIFEST, 1)
    assert asked(b"") == (MANIFEST, 0)


def test_what_a_host_has_damaged_is_not_kept(cache: Path) -> None:
    """Another host may have it whole."""
    assert asked(MANIFEST.packed()[:-9]) == (None, 1)
    assert asked(MANIFEST.packed()) == (MANIFEST, 1)


def test_many_may_keep_the_same_at_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in a file of its own until it has its name."""
    written: list[Path] = []
    write = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda path, data: written.append(path) or write(path, data))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: remember(RELEASE, MANIFEST.packed()), range(4)))
    remember(RELEASE, MANIFEST.packed())
    assert written[-1] not in written[:-1]
    assert remembered(RELEASE) == MANIFEST.packed()
    assert [path.name for path in cache.iterdir()] == [f"{RELEASE}.gz"]
