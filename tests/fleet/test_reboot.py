"""A host is switched off at each step of a deploy and of a rollback, boots, and sees to itself.

Every process is killed at once. What was written stays; what a disk loses, tests/chaos/test_powercut.py sees to.
"""

import json
import re
import select
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.app import until
from tests.faults import site as sites
from tests.faults.client import Client
from tests.faults.fault import allowed
from tests.faults.invariants import swept, truthful
from tests.faults.matrix import SEED
from tests.faults.power import LISTEN, LOSERS, TABLES, Loss, every_loss, some_losses
from tests.faults.scene import truly_ended
from tests.faults.verbs import Verb
from tests.lab import Host, Lab

pytestmark = pytest.mark.fleet

APP = "owl"
ROOT = f"/home/deploy/{APP}"
UNKNOWN = 14
TELLS_S = 60


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The rows: all of them, or those that *seed* decides."""
    if "loss" in metafunc.fixturenames:
        seed = metafunc.config.getoption("--seed", SEED)
        losses = every_loss() if metafunc.config.getoption("--whole", False) else some_losses(seed)
        metafunc.parametrize("loss", losses, ids=str)


@dataclass
class Site(sites.Site):
    """An application of the *host*, whose root is read as this machine sees it."""

    host: Host | None = None

    def configure(self, more: str = TABLES, *, build: str = 'source = "folder"', settle_s: float = 0.05) -> None:
        """With the root as the host knows it."""
        super().configure(more, build=build, settle_s=settle_s)
        deploy = self.folder / "deploy.toml"
        deploy.write_text(deploy.read_text().replace(str(self.root), ROOT).replace('app = "shop"', f'app = "{APP}"'))

    def renew(self) -> str:
        """Change what would be shipped, and return its version."""
        version = f"next to {self.number}"
        self.write(version)
        return version

    @property
    def release(self) -> str:
        """The one that ``current`` leads to."""
        return (self.root / "current").resolve().name

    @property
    def answers(self) -> str:
        """The release that clients meet; empty when nobody answers."""
        assert self.host
        said = self.host.run(f"curl -s -m 20 http://{LISTEN}/", check=False).stdout
        return str(json.loads(said)["release"]) if said else ""

    @property
    def units(self) -> set[str]:
        """Its units that are up, on their way, or have failed, without the numbers of their starts."""
        assert self.host
        listed = self.host.run(f"systemctl --user list-units --plain --no-legend '{APP}-*'", user="deploy").stdout
        return {re.sub(r"\.\d+\.", ".", line.split()[0]) for line in listed.splitlines()}


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Three releases are proven on it."""
    base, host = tmp_path_factory.mktemp(APP), lab.host
    host.run(f"rm -rf {ROOT}; install -d -o deploy -g deploy {ROOT}")
    found = Site(base / "shop", host.root / ROOT[1:], host.ssh("deploy"), lab.ssh_config, host=host)
    found.configure()
    shutil.copy(Path(__file__).with_name("serve.py"), found.folder)
    result = found.run("setup")
    assert result.code == 0, result.out + result.err
    for version in ("v1", "v2", "v3"):
        found.deploy(version)
    yield found
    mine = f"'{APP}-*'; systemctl --user disable {APP}-web.service {APP}-web.socket"
    host.run(f"systemctl --user stop {mine}", user="deploy", check=False)


@pytest.mark.parametrize("verb", LOSERS, ids=lambda verb: verb.name)
def test_the_steps_at_which_a_host_is_switched_off_are_those_that_run(site: Site, verb: Verb) -> None:
    """So that a new step is covered without anybody remembering."""
    site.renew()
    client = Client(site.start(*verb.words, "--json"))
    assert truly_ended(client).code == 0
    assert begun(client) == list(verb.planned)
    again(site, another=False)


def test_a_host_is_switched_off(site: Site, loss: Loss, record_property: Callable[[str, object], None]) -> None:
    """P2, P5, P12: it boots with what was live, or with what was proven, and the next deploy needs no help."""
    assert site.host
    old, wanted, number = site.release, site.renew(), site.number + 1
    client = Client(site.start(*loss.verb.words, "--json"))
    heard(client, loss.step)
    client.stop()
    site.host.power_off()
    client.wake()
    site.host.boot()
    ended = truly_ended(client, lambda: site.events(number))
    last = [step for step in begun(client) if step in loss.verb.planned][-1]
    assert ended.code in (*allowed(loss.verb, last), UNKNOWN), client.events[-5:]
    confirmed = mended(site, old, number)
    assert loss.verb.confirmed(last, inside=True) in (None, confirmed), (last, site.events(number))
    if ended.code != UNKNOWN:
        assert confirmed == (ended.code == 0), (site.events(number), client.events[-5:])
    assert not confirmed or loss.verb.name != "deploy" or site.live == wanted
    again(site, another=confirmed)
    seen = f"{'new' if confirmed else 'old'} {ended.code}"
    record_property("fault", {"row": str(loss), "verb": loss.verb.name, "step": loss.step, "seen": seen})


@pytest.mark.parametrize("step", ["settled", "finish"])
def test_a_host_and_its_client_are_switched_off(site: Site, step: str) -> None:
    """P2: nobody calls; what its boot starts settles the switch, and starts what is live then."""
    assert site.host
    old, number = site.release, site.number + 1
    site.renew()
    client = Client(site.start(*LOSERS[0].words, "--json"))
    heard(client, step)
    client.stop()
    site.host.power_off()
    client.kill()
    site.host.boot()
    confirmed = mended(site, old, number)
    assert confirmed or step != "finish", site.events(number)
    again(site, another=confirmed)


def begun(client: Client) -> list[str]:
    """The steps that it has told of, in their order."""
    return [event["step"] for event in client.events if event["event"] == "step" and event["state"] == "begin"]


def heard(client: Client, step: str) -> None:
    """Return at the moment at which it tells of *step*."""
    while step not in begun(client):
        assert select.select([client.process.stdout], [], [], TELLS_S)[0], f"{step} never came"
        client.read()
        assert step in begun(client) or not client.ended, (client.end(), client.events)


def mended(site: Site, old: str, number: int) -> bool:
    """Give the host nothing but time, and hold it to the promises: is the switch of this *number* confirmed?

    If so what it went to is live, else what was live of *old*.
    """
    until(lambda: not site.locked and not site.inside("armed") and not site.inside("confirmed"), what="its settling")
    confirmed = "live" in site.events(number)
    to = next((str(e["release"]) for e in site.journal if e["event"] == "deploy" and e["deploy"] == number), old)
    assert site.release == (to if confirmed else old), site.journal[-6:]
    assert f"{site.release}.gz" in site.inside("manifests")
    assert (site.root / "current" / "last").read_text().strip() == site.live
    until(lambda: site.answers == site.release, what="its answer")
    truthful(site)
    return confirmed


def again(site: Site, *, another: bool) -> None:
    """The next plain deploy succeeds, of something else after a whole one, and leaves nothing that nobody knows."""
    wanted = site.renew() if another else (site.folder / "version").read_text().strip()
    result = site.run("deploy", "--host", "prod")
    assert result.code == 0, result.err
    assert (site.live, site.answers) == (wanted, site.release)
    swept(site)
    instance = {f"{APP}-web@{site.release}.service", f"{APP}-web-private@{site.release}.socket"}
    until(lambda: site.units == {*instance, f"{APP}-web.socket"}, what="the end of all other units")
