"""Instances that a user's own systemd runs: one that dies, one that has crashed, one whose rehearsal was cut short."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app import App, until
from tests.lab import Host, Lab

pytestmark = pytest.mark.fleet

ROOT = "/home/deploy/sheep"
TABLES = """
[processes.web]
kind = "systemd"
command = "/usr/bin/python3 serve.py"
listen = "127.0.0.1:8200"
health = { url = "/health", wait_s = 60 }
"""


@pytest.fixture(scope="module")
def host(lab: Lab) -> Iterator[Host]:
    """The lab's host, with a root for this module."""
    lab.host.run(f"rm -rf {ROOT}; install -d -o deploy -g deploy {ROOT}")
    yield lab.host
    lab.host.run("systemctl --user stop 'sheep-*'; systemctl --user disable 'sheep-web.service' 'sheep-web.socket'",
                 user="deploy", check=False)  # fmt: skip


@pytest.fixture(scope="module")
def app(host: Host, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> App:
    """An application that is set up and live."""
    base = tmp_path_factory.mktemp("sheep")
    found = App(base / "shop", base / "unused", host.ssh("deploy"), lab.ssh_config)
    found.configure(TABLES, settle_s=2)
    text = (found.folder / "deploy.toml").read_text().replace(str(found.root), ROOT)
    (found.folder / "deploy.toml").write_text(text.replace('app = "shop"', 'app = "sheep"'))
    shutil.copy(Path(__file__).with_name("serve.py"), found.folder)
    result = found.run("setup")
    assert result.code == 0, result.out + result.err
    found.deploy("v1")
    return found


def answered(host: Host) -> str:
    """The release that answers."""
    return str(json.loads(host.run("curl -s http://127.0.0.1:8200/").stdout)["release"])


def units(host: Host, pattern: str) -> list[str]:
    """What systemd has loaded of these."""
    listed = host.run(f"systemctl --user list-units --plain --no-legend '{pattern}'", user="deploy").stdout
    return [line.split()[0] for line in listed.splitlines()]


def test_a_release_that_dies_while_it_settles_is_taken_back_and_its_last_words_are_shown(app: App, host: Host) -> None:
    """P3: the second look meets it; the old instance serves on."""
    before = answered(host)
    (app.folder / "dies").write_text("2")
    app.write("v2")
    result = app.run("deploy")
    (app.folder / "dies").unlink()
    assert (result.code, "died within the pause" in result.err) == (12, True), result.err
    assert "| no more sheep to count" in result.err
    assert answered(host) == before


def test_a_crash_of_long_ago_does_not_keep_what_is_live_from_being_proven(app: App, host: Host) -> None:
    """systemd has started it again, and it stays."""
    app.deploy("v3")
    (instance,) = (unit for unit in units(host, "sheep-web@*.service") if answered(host) in unit)
    host.run(f"systemctl --user kill -s KILL {instance}", user="deploy")
    shown = f"systemctl --user show -p ActiveState -p NRestarts --value {instance}"
    until(lambda: host.run(shown, user="deploy").stdout.split() == ["1", "active"], what="the restart")
    again = app.run("deploy", "--json")
    assert (again.code, again.events[-1]["outcome"]) == (0, "already_live"), again.err


def test_a_rehearsal_that_was_cut_short_is_gone_after_the_next_deploy(app: App, host: Host) -> None:
    """Its deploy was killed, and with it the step that would have stopped it."""
    (app.folder / "serve.py").write_text("import time\ntime.sleep(600)\n")
    app.write("v4")
    process = app.start("deploy")
    until(lambda: units(host, "sheep-web-rehearsal@*.service"), what="the rehearsal")
    process.kill()
    process.communicate()
    assert len(units(host, "sheep-web-rehearsal@*")) == 2
    shutil.copy(Path(__file__).with_name("serve.py"), app.folder)
    app.deploy("v5", "--wait", "60s")
    assert units(host, "sheep-web-rehearsal@*") == []


def test_a_host_whose_user_manager_would_end_with_us_is_refused(app: App, host: Host) -> None:
    """With the command that setup prints."""
    host.run("loginctl disable-linger deploy")
    refused, told = app.run("deploy"), app.run("setup")
    host.run("loginctl enable-linger deploy")
    command = "sudo loginctl enable-linger deploy"
    assert (refused.code, command in refused.err) == (10, True), refused.err
    assert (told.code, command in told.out) == (10, True)
