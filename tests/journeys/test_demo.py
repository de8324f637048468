"""The demo, as `make demo` runs it."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.journey


def demo(tmp_path: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "releases", "demo", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_the_demo_keeps_what_it_promises_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """P2, P3, P4, P7: first deploy, migration, two refused releases, a dead deployer, a rollback."""
    with tempfile.TemporaryDirectory(prefix="sw-") as short:  # a socket's path has 107 characters
        ended = demo(tmp_path, TMPDIR=short)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert list(Path(short).iterdir()) == []
    assert re.search(r"^[1-9]\d+ requests, 0 failed, longest gap \d\.\d\d s, p50 .*ms$", ended.stdout, re.M)
    assert "Everything went as promised." in ended.stdout
    assert not [p for p in Path("/proc").glob("[0-9]*/environ") if short.encode() in _read(p)]


def test_without_its_extra_the_demo_says_what_to_install(tmp_path: Path) -> None:
    """One line, exit 2."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\nfind = util.find_spec\n"
        "util.find_spec = lambda name, package=None: None if name == 'asyncssh' else find(name, package)\n"
    )
    ended = demo(tmp_path, PYTHONPATH=f"{tmp_path}:{REPOSITORY}")
    assert ended.returncode == 2
    assert ended.stdout == 'the demo needs asyncssh: pip install "switchover[demo]"\n'


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
