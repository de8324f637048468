"""What `make bench` records of a deploy: every wait for a host, and what it was for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app import App
from tests.forks import REPOSITORY

pytestmark = pytest.mark.journey


def test_every_wait_of_a_deploy_is_recorded(app: App, tmp_path: Path) -> None:
    """Steps that were sent together are counted, and the payload is named by its step."""
    app.write("v1")
    record = tmp_path / "waits"
    words = [sys.executable, str(REPOSITORY / "bench" / "recorded.py"), str(record), "deploy"]
    done = subprocess.run(words, cwd=app.folder, env=app.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    waits = [json.loads(line) for line in record.read_text().splitlines()]
    kinds = [wait["kind"] for wait in waits]
    assert {"connect", "channel", "ready", "together", "step", "payload"} <= set(kinds)
    assert kinds.count("payload") == 1
