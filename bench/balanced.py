"""Does a fleet behind a balancer lose a request? ``sudo python bench/balanced.py [haproxy] [nginx]``

Boots five systemd hosts on this machine: three with the Wagtail example, one with the balancer, one with PostgreSQL.
Every strategy goes forward, fails on each host in turn, and goes back, while clients ask through the balancer.
Prints one line for each, and exits with 1 when a request failed or a deploy did not end as it must.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from releases.probe import Load
from tests.fleet.balanced import HOSTS, Behind, asking
from tests.fleet.site import fetched
from tests.lab import Lab

STRATEGIES = {
    "all": "",
    "rolling": "min_healthy = 2",
    "canary": "watch_s = 3",
}


def line(site: Behind, load: Load, what: str, code: int, *words: str) -> bool:
    """Run a command on all hosts; print what its clients met, and say whether all was as it must be."""
    began = time.monotonic()
    result = site.run(*words, limit_s=600)
    took, met = time.monotonic() - began, load.between(began, time.monotonic())
    right = result.code == code and not met.wrong and len(set(site.live)) == 1 and not site.drained()
    head = f"{what:<42} {result.code:>4} {took:>6.1f} s {met.count:>8} {met.wrong:>7} {met.gap_s:>7.2f} s"
    print(head if right else f"{head}  WRONG\n{result.err}\n{met}\n{site.live} {site.drained()}", flush=True)
    return right


def turns(site: Behind, load: Load, balancer: str, releases: tuple[str, str]) -> bool:
    """Each strategy: forward, broken on each host in turn, and back."""
    first, second = releases
    right = True
    for strategy, more in STRATEGIES.items():
        site.choose(strategy, balancer, more)
        named = f"{balancer}, {strategy}"
        right &= line(site, load, f"{named}: forward", 0, "deploy", "--release", second)
        for host in site.web:
            with site.breaking(host):
                right &= line(site, load, f"{named}: fails on {host.name}", 12, "deploy", "--release", first)
        right &= line(site, load, f"{named}: rollback", 0, "rollback", "--to", first)
    return right


def main(*balancers: str) -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, Lab(HOSTS) as lab:
        site = Behind.of(lab, Path(folder), fetched(Path(folder) / "wheels"))
        releases = []
        for name in ("first", "second"):
            site.commit(name, **{f"shop/{name}.py": ""})
            assert (result := site.run("deploy", limit_s=900)).code == 0, result.err
            releases.append(site.live[0])
        assert (result := site.run("rollback")).code == 0, result.err
        right = True
        print(f"{'':<42} exit   took    requests  failed  longest gap")
        for balancer in balancers or ("haproxy", "nginx"):
            site.balance(balancer)
            with asking(site) as load:
                right &= turns(site, load, balancer, (releases[0], releases[1]))
        return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
