"""System-wide units, which root allows once, and a worker that gets its time to finish."""

import json
import shutil
from pathlib import Path

import pytest

from tests.app import App, until
from tests.lab import Host, Lab

pytestmark = pytest.mark.fleet

TABLES = """
[processes.web]
kind = "systemd"
scope = "system"
user = "shop"
command = "/usr/bin/python3 serve.py"
listen = "127.0.0.1:8100"
health = "/health"
[processes.worker]
kind = "systemd"
scope = "system"
command = "sh -c 'trap \\"sleep 3; echo done >>/srv/scopes/shared/finished; exit\\" TERM; while :; do sleep 0.1; done'"
drain_s = 20
"""


@pytest.fixture(scope="module")
def host(lab: Lab) -> Host:
    """The lab's host, with a root for this module."""
    lab.host.run("rm -rf /srv/scopes; install -d -o deploy -g deploy /srv/scopes")
    return lab.host


@pytest.fixture(scope="module")
def app(host: Host, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> App:
    """An application whose units belong to the system; the account that deploys is no root."""
    base = tmp_path_factory.mktemp("scopes")
    found = App(base / "shop", base / "unused", host.ssh("deploy"), lab.ssh_config)
    found.configure(TABLES)
    text = (found.folder / "deploy.toml").read_text().replace(str(found.root), "/srv/scopes")
    (found.folder / "deploy.toml").write_text(text.replace('app = "shop"', 'app = "scopes"'))
    shutil.copy(Path(__file__).with_name("serve.py"), found.folder)
    return found


def answered(host: Host) -> dict[str, object]:
    """What the application says on its public address."""
    return dict(json.loads(host.run("curl -s http://127.0.0.1:8100/").stdout))


def test_a_deploy_before_the_set_up_is_refused_with_the_command(app: App) -> None:
    """Exit 10."""
    app.write("v1")
    result = app.run("deploy")
    assert (result.code, "inv setup" in result.err) == (10, True), result.err


def test_setup_prints_the_one_command_that_needs_root_until_it_was_run(app: App, host: Host) -> None:
    """And it can be read before."""
    command = "sudo sh /srv/scopes/.switchover/setup-as-root.sh"
    told = app.run("setup")
    assert (told.code, command in told.out) == (10, True), "until root has done its part"
    host.run(command.removeprefix("sudo "))
    told = app.run("setup")
    assert (told.code, command in told.out) == (0, False)


def test_who_comes_before_the_first_deploy_does_not_keep_the_host_busy(host: Host) -> None:
    """The socket is there, and nothing that could answer: what starts it must not be started again and again."""
    since = host.run("date '+%F %T'").stdout.strip()
    host.run("curl -s -m 3 http://127.0.0.1:8100/", check=False)
    told = host.run(f"journalctl -q --no-pager -u scopes-web.service --since '{since}'").stdout
    assert 1 <= told.count("Starting scopes-web.service") <= 2


def test_the_deploy_account_may_start_and_stop_these_units_and_no_others(host: Host) -> None:
    """Least privilege: one helper, which checks every word."""
    helper = "sudo -n /usr/local/sbin/switchover-scopes"
    for words in ("start ssh.service", "stop scopes-web@x.service ssh.service", "enable scopes-web@x.service",
                  "start --root=/tmp scopes-web@x.service", "start 'scopes-web@x.service\nssh.service'"):  # fmt: skip
        assert host.run(f"{helper} {words}", user="deploy", check=False).returncode == 77, words


def test_deploys_and_a_rollback_run_as_the_service_account(app: App, host: Host) -> None:
    """Proof is by unit and its control group, since another account's processes can't be read."""
    first = app.deploy("v1", "--json").events[-1]["release"]
    assert answered(host) == {"release": first, "uid": 2001}
    second = app.deploy("v2", "--json").events[-1]["release"]
    assert app.deploy("v2", "--json").events[-1]["outcome"] == "already_live"
    assert answered(host) == {"release": second, "uid": 2001}
    rows = app.run("ps", "--json").events[0]["processes"]
    assert {row["process"] for row in rows if row["release"] == second} == {"web", "worker"}
    assert app.run("rollback").code == 0
    assert answered(host)["release"] == first


def test_a_worker_finishes_its_job_in_its_own_time(host: Host) -> None:
    """The deploy did not wait for it."""
    until(lambda: host.run("cat /srv/scopes/shared/finished", check=False).stdout.count("done") == 2, what="both jobs")


def test_a_release_in_use_by_another_account_is_not_pruned(app: App, host: Host) -> None:
    """P6, by the unit's name."""
    with (app.folder / "deploy.toml").open("a") as file:
        file.write("[keep]\nreleases = 1\n")
    for version in ("v3", "v4", "v5"):
        app.deploy(version)
    running = {row["release"] for row in app.run("ps", "--json").events[0]["processes"]}
    there = set(host.run("ls /srv/scopes/releases").stdout.split())
    assert running <= there
