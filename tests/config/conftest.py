"""A deploy.toml in a folder of its own."""

from pathlib import Path

import pytest

from tests.config.files import HOSTS, TOP, Written


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Write a deploy.toml that starts with what is required."""

    def write(text: str = "", *, top: str = TOP, hosts: str = HOSTS, name: str = "deploy.toml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(top + hosts + text)
        return path

    return write
