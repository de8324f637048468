"""The Flask example on a gunicorn that is reloaded in place: real dependencies, migrations, load."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from releases.probe import Client, Load
from tests.app import REPOSITORY, App, until
from tests.sshd import Sshd, free_port

pytestmark = pytest.mark.journey

EXAMPLE = REPOSITORY / "examples" / "flask"


@pytest.fixture(scope="module")
def site(sshd: Sshd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The example as it stands, but for its address, root and port, and for wheels that are fetched once."""
    base, port = tmp_path_factory.mktemp("flask"), free_port()
    app = App(base / "guestbook", base / "srv" / "guestbook", sshd.address, sshd.ssh_config)
    shutil.copytree(EXAMPLE, app.folder, dirs_exist_ok=True)
    requirements = str(EXAMPLE / "requirements.txt")
    download = ("download", "-q", "--only-binary=:all:", "--python-version", "3.11", "-d", str(base / "wheels"))
    subprocess.run([sys.executable, "-m", "pip", *download, "-r", requirements], check=True, capture_output=True)
    text = (EXAMPLE / "deploy.toml").read_text()
    fetch = next(line for line in text.splitlines() if line.startswith('command = "python3 -m pip'))
    for old, new in {
        fetch: f'command = "cp -r {base}/wheels wheels"\nsource = "folder"',
        "/srv/guestbook": str(app.root),
        "deploy@guestbook.example.com": sshd.address,
        "127.0.0.1:8001": f"127.0.0.1:{port}",
        "python3 -m venv": f"{sys.executable} -m venv",
    }.items():
        assert old in text
        text = text.replace(old, new)
    (app.folder / "deploy.toml").write_text(text + "\n[strategy]\nsettle_s = 0.5\n")
    app.environment["SITE"] = f"http://127.0.0.1:{port}"
    app.deploy("v1")
    yield app
    pid = int((app.root / "shared" / "gunicorn.pid").read_text())
    subprocess.run(["kill", f"-{signal.SIGTERM}", str(pid)], check=True)
    until(lambda: not Path(f"/proc/{pid}").exists(), what="the end of gunicorn")


@pytest.fixture
def load(site: App) -> Iterator[Load]:
    """Clients that read and write all the time."""
    asks = (("/health", "GET", None, False), ("/health", "GET", None, True), ("/", "POST", b"words=hello", False))
    clients = (Client(path, method, body, keeps=keeps, pause_s=0.03) for path, method, body, keeps in asks)
    found = Load(site.environment["SITE"], tuple(clients))
    found.start()
    yield found
    found.stop()


def live(site: App) -> str:
    """What the site says that it runs."""
    with urllib.request.urlopen(f"{site.environment['SITE']}/health", timeout=10) as answer:
        return str(json.load(answer)["release"])


def test_a_reload_with_an_expand_migration_and_a_rollback_fail_no_request(site: App, load: Load) -> None:
    """P4, and P7: the schema is wider, and the old code survives it."""
    began, first = time.monotonic(), live(site)
    (site.folder / "migrations" / "0003_mood.expand.sql").write_text("ALTER TABLE entry ADD COLUMN mood TEXT;\n")
    site.deploy("v2")
    assert live(site) != first
    assert site.run("rollback").code == 0
    assert live(site) == first
    figures = load.between(began, time.monotonic())
    assert (figures.wrong, figures.examples) == (0, ())
    assert figures.count > 50


def test_ps_shows_master_and_workers_of_the_live_release(site: App) -> None:
    """By what the host says of them."""
    rows = site.run("ps", "--json").events[0]["processes"]
    assert {(row["process"], row["traffic"]) for row in rows if row["release"] == live(site)} == {("web", "*")}


def test_a_migration_that_the_live_release_does_not_survive_stops_the_deploy(site: App) -> None:
    """The N-1 probe; what ran is named, nothing was switched."""
    before = live(site)
    lie = site.folder / "migrations" / "0004_lie.expand.sql"
    lie.write_text("ALTER TABLE entry RENAME COLUMN words TO text;\n")
    site.write("v3")
    result = site.run("deploy")
    assert (result.code, "after the expand migrations" in result.err) == (11, True), result.err
    assert "0004_lie" in result.err
    assert (site.root / "current").resolve().name == before
    lie.unlink()
    database = site.root / "shared" / "data" / "guestbook.sqlite3"
    with closing(sqlite3.connect(database)) as opened:
        opened.execute("ALTER TABLE entry RENAME COLUMN text TO words")
    assert live(site) == before


def test_a_rollback_below_a_contract_migration_is_refused(site: App) -> None:
    """P8: and contract runs only once nothing runs older code."""
    before = live(site)
    (site.folder / "migrations" / "0006_drop.contract.sql").write_text("ALTER TABLE entry DROP COLUMN mood;\n")
    site.deploy("v4")
    until(lambda: site.run("contract").code == 0, what="the contract migration")
    refused = site.run("rollback", "--to", before)
    assert (refused.code, "contract migration 0006_drop" in refused.err) == (10, True), refused.err
    assert live(site) != before
