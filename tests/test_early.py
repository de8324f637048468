"""Whom a command is going to call, before deploy.toml is checked: whoever is plainly meant, and nobody else."""

from pathlib import Path

import pytest

from releases.addresses import Destination
from releases.config import load
from releases.document import read
from releases.early import early

FILE = """
app = "shop"
root = "/srv/shop"
[connection]
connect_s = 3
[hosts.prod]
ssh = ["deploy@web1", "web2:2222"]
[hosts.old]
ssh = "[::1]:22"
connection.silent_s = 5.0
"""


def seen(folder: Path, text: str, host: str = "", without: str = "") -> tuple[Destination, ...]:
    """What is called early for this deploy.toml."""
    (folder / "deploy.toml").write_text(text)
    return early(read(folder / "deploy.toml"), host, without)


@pytest.mark.parametrize("host", ["prod", "old", "prod,old", "web1", "deploy@web1", " web2:2222 , old", "[::1]:22"])
def test_who_is_called_early_is_who_is_meant(host: str, tmp_path: Path) -> None:
    """With the limits that hold there: else it would be called twice."""
    found = seen(tmp_path, FILE, host)
    assert found == tuple(target.destination for target in load(tmp_path / "deploy.toml", host=host))
    assert found


def test_who_is_left_out_is_not_called(tmp_path: Path) -> None:
    assert [place.name for place in seen(tmp_path, FILE, "prod", "web1")] == ["web2:2222"]


@pytest.mark.parametrize(
    ("text", "host"),
    [
        pytest.param(FILE, "", id="which hosts"),
        pytest.param(FILE, "web3", id="unknown"),
        pytest.param('hosts = "web1"', "", id="no table"),
        pytest.param("", "", id="nothing"),
        pytest.param('[hosts.prod]\nssh = ["-oProxyCommand=sh"]', "", id="a hostile name"),
        pytest.param('[hosts.prod]\nssh = ["web1", 7]', "", id="no address"),
        pytest.param('[hosts.prod]\nfrom = "print-hosts"', "", id="a command"),
        pytest.param('connection = 1\n[hosts.prod]\nssh = ["web1"]', "", id="no limits"),
        pytest.param('connection.connect_s = "x"\n[hosts.prod]\nssh = ["web1"]', "", id="no number"),
        pytest.param(f'connection.connect_s = 1{"0" * 400}\n[hosts.prod]\nssh = ["web1"]', "", id="too long"),
        pytest.param('[hosts.prod]\nssh = ["ana@web1", "eve@web1"]', "", id="twice"),
        pytest.param("[hosts]\nprod = 3", "", id="no group"),
    ],
)
def test_nobody_is_called_where_it_is_not_plain_who_is_meant(text: str, host: str, tmp_path: Path) -> None:
    """The mistake is told when the file is checked."""
    assert seen(tmp_path, text, host) == ()
