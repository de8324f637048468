"""A real site on a real systemd host, as an unprivileged user, under load."""

import json
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest

from releases.probe import Client, Load
from tests.app import until
from tests.fleet.site import Site, fetched
from tests.lab import Lab

pytestmark = pytest.mark.fleet

# So many that no instant is unwatched, and so few that the host has time for a deploy.
CLIENTS = tuple(Client(keeps=keeps, pause_s=0.1) for keeps in (False, True, False, True))
SECRET = "not-to-be-seen-anywhere-0123456789abcdefghijklmnop"


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The example, live for the first time."""
    base = tmp_path_factory.mktemp("wagtail")
    found = Site(base / "shop", base / "unused", lab.host.ssh("deploy"), lab.ssh_config, host=lab.host)
    found.begin(fetched(base / "wheels"), listen="0.0.0.0:8000")
    assert found.run("setup").code == 0
    lab.host.run(
        f"umask 077; printf 'SECRET_KEY={SECRET}\\nALLOWED_HOSTS={lab.host.address}\\n' >/srv/shop/shared/.env",
        user="deploy",
    )
    result = found.run("deploy", limit_s=300)
    assert result.code == 0, result.err
    return found


@pytest.fixture
def load(site: Site) -> Iterator[Load]:
    """Clients that ask all the time, from before the test to its end."""
    url = f"http://{site.host.address}:8000/health"  # type: ignore[union-attr]
    found = Load(url, CLIENTS)
    found.start()
    yield found
    found.stop()


def failed(load: Load, began: float) -> tuple[int, tuple[str, ...]]:
    """How many requests failed since *began*, with examples; there were some that did not."""
    figures = load.between(began, time.monotonic())
    assert figures.count > 50
    return figures.wrong, figures.examples


def live(site: Site) -> str:
    """What the site says that it runs."""
    with urllib.request.urlopen(f"http://{site.host.address}:8000/health", timeout=10) as answer:  # type: ignore[union-attr]
        return str(json.load(answer)["release"])


def other(site: Site) -> str:
    """A release that was proven, and is not live: to install one takes its time."""
    rows = site.run("releases", "--json").events[0]["releases"]
    return next(
        str(row["release"])
        for row in rows
        if row["release"] != live(site) and row["state"].startswith(("proven", "bad"))
    )


def test_a_second_release_and_a_rollback_fail_no_request(site: Site, load: Load) -> None:
    """P4, P3."""
    began, first = time.monotonic(), live(site)
    site.commit("Second", **{"shop/second.py": "SECOND = True\n"})
    result = site.run("deploy", "--json", limit_s=300)
    assert (result.code, result.events[-1]["outcome"]) == (0, "live")
    assert live(site) == result.events[-1]["release"] != first
    assert site.run("rollback").code == 0
    assert live(site) == first
    assert failed(load, began) == (0, ())


@pytest.mark.parametrize("how", ["cannot import", "answers 500"])
def test_a_broken_release_is_refused_and_nobody_notices(site: Site, load: Load, how: str) -> None:
    """The rehearsal meets it where no client can."""
    began, before = time.monotonic(), live(site)
    site.commit(how, **site.broken(how))
    result = site.run("deploy", "--json", limit_s=300)
    site.commit("Mend", **site.mended(how))
    assert (result.code, result.events[-1]["outcome"]) == (11, "unchanged"), result.err
    assert live(site) == before
    assert failed(load, began) == (0, ())


def test_a_rollback_lets_a_long_request_finish_in_the_release_it_began_in(site: Site, load: Load) -> None:
    """The old one drains beside the new; ps shows both, and traffic goes to the new one."""
    assert site.run("deploy", "--release", other(site)).code == 0
    began, leaving, answers = time.monotonic(), live(site), []

    def ask() -> None:
        with urllib.request.urlopen(f"http://{site.host.address}:8000/slow?s=30", timeout=60) as answer:  # type: ignore[union-attr]
            answers.append(json.load(answer))

    slow = threading.Thread(target=ask)
    slow.start()
    until(lambda: load.between(began, time.monotonic()).count > 20, what="load")
    assert site.run("rollback").code == 0
    rows = site.run("ps", "--json").events[0]["processes"]
    old = {row["traffic"] for row in rows if row["release"] == leaving}
    new = {row["traffic"] for row in rows if row["release"] == live(site)}
    assert (old, new) == ({""}, {"*"})
    back = site.run("deploy", "--release", leaving)
    assert back.code == 0, back.err
    slow.join(60)
    assert answers == [{"release": leaving, "slept_s": 30.0}]
    assert failed(load, began) == (0, ())


def test_what_was_live_runs_again_after_a_reboot(site: Site) -> None:
    """The one time when requests fail."""
    host, before = site.host, live(site)
    assert host
    host.reboot()
    until(lambda: host.run("curl -sf http://127.0.0.1:8000/health", check=False).returncode == 0, what="the site")
    assert live(site) == before
    status = site.run("status", "--json").events[0]["hosts"][0]
    assert (status["live"], status["note"]) == (before, "")


def test_no_secret_of_the_host_is_seen_by_the_deployer(site: Site) -> None:
    """P9: neither in what it printed nor in what it keeps on the host."""
    host = site.host
    assert host
    found = host.run(f"grep -rl {SECRET} /srv/shop/.switchover /srv/shop/releases/*/RELEASE", check=False)
    assert found.stdout == ""
    assert all(SECRET not in site.run(*words).out for words in (["ps"], ["status"], ["plan"]))


def test_every_release_is_still_what_was_built(site: Site) -> None:
    """Whatever `prepare` did in any of them."""
    for row in site.run("releases", "--json").events[0]["releases"]:
        checked = site.run("verify", "--release", row["release"])
        assert checked.code == 0, checked.err


def test_a_crash_of_the_host_between_the_rename_and_the_proof_goes_back(site: Site) -> None:
    """P2: by itself, at boot, before it starts anything."""
    host, before = site.host, live(site)
    assert host
    process = site.start("deploy", "--release", other(site), "--json")
    assert process.stdout
    for line in process.stdout:
        if '"step": "settled"' in line:
            break
    host.power_off()
    process.kill()
    process.communicate()
    host.boot()
    until(lambda: host.run("curl -sf http://127.0.0.1:8000/health", check=False).returncode == 0, what="the site")
    assert live(site) == before
    assert "was taken back" in site.run("status").out
