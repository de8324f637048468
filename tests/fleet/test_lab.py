"""The hosts that the fleet ring relies on."""

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.lab import Lab

pytestmark = pytest.mark.fleet


def test_a_host_is_a_running_systemd_with_nothing_failed(lab):
    assert lab.host.run("systemctl is-system-running").stdout == "running\n"
    assert lab.host.run("cat /proc/1/comm; hostname").stdout.split() == ["systemd", "h1"]


def test_deploy_owns_the_root_and_may_make_virtual_environments(lab):
    lab.host.run("touch /srv/shop/x && rm /srv/shop/x && cd && python3 -m venv v && rm -r v", user="deploy")
    assert lab.host.run("id -un", user="shop").stdout == "shop\n"


def test_deploy_runs_units_of_its_own_that_outlive_its_session(lab):
    lab.host.run("systemd-run --user --unit=nap sleep 60", user="deploy")
    assert lab.host.run("systemctl --user is-active nap", user="deploy").stdout == "active\n"
    lab.host.run("systemctl --user stop nap", user="deploy")


def test_a_reboot_comes_back_with_the_units_of_a_lingering_user(lab):
    """The disk is kept; what was in memory only is gone."""
    unit = """\
        [Service]
        ExecStart=sleep infinity
        [Install]
        WantedBy=default.target
        """
    lab.host.run("mkdir -p .config/systemd/user && cat >.config/systemd/user/stay.service", user="deploy",
                 stdin=textwrap.dedent(unit))  # fmt: skip
    lab.host.run("systemctl --user enable stay; systemd-run --user --unit=nap sleep 600", user="deploy")
    before = lab.host.run("cat /proc/sys/kernel/random/boot_id").stdout
    lab.host.reboot()
    assert lab.host.run("cat /proc/sys/kernel/random/boot_id").stdout != before
    assert lab.host.run("systemctl --user is-active stay nap", user="deploy", check=False).stdout.split() == [
        "active",
        "inactive",
    ]
    lab.host.run("systemctl --user disable --now stay", user="deploy")


def test_a_host_without_power_answers_nobody_and_comes_back(lab):
    lab.host.run("echo kept >/srv/shop/kept", user="deploy")
    lab.host.power_off()
    assert lab.host.run("true", check=False).returncode == 255
    lab.host.boot()
    assert lab.host.run("cat /srv/shop/kept && rm /srv/shop/kept", user="deploy").stdout == "kept\n"


def test_a_second_lab_waits_for_the_first(lab):
    script = "from tests.lab import Lab\nwith Lab(): pass"
    second = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2])
    try:
        time.sleep(1)
        assert second.poll() is None
        assert lab.host.run("true").returncode == 0
    finally:
        second.kill()
        second.wait()


def test_a_lab_can_not_run_without_what_it_names(monkeypatch):
    monkeypatch.setattr("tests.lab.NEEDED", (("no-such-program", "some-package"),))
    assert "apt-get install some-package" in Lab.missing()
