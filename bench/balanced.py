"""Does a fleet behind a balancer lose a request? ``sudo python bench/balanced.py [haproxy] [faults[:confirm]] [nginx]``

Boots five systemd hosts on this machine: three with the Wagtail example, one with the balancer, one with PostgreSQL.
Every strategy goes forward, fails on each host in turn, and goes back, while clients ask through the balancer.
Behind HAProxy a rolling deploy is then hit at each barrier: its client killed, a line cut, a host switched off.
Prints one line for each, and exits with 1 when a request failed or a deploy did not end as it must.
"""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from releases.figures import Figures
from releases.probe import Load
from tests.app import until
from tests.fleet.balanced import HOSTS, Behind, asking
from tests.fleet.site import fetched
from tests.lab import Lab

STRATEGIES = {
    "all": "",
    "rolling": "min_healthy = 2",
    "canary": "watch_s = 3",
}


def row(what: str, code: int, took_s: float, met: Figures) -> str:
    """Its line in the table."""
    figures = f"{met.count:>8} {met.wrong:>7} {met.retried:>11} {met.gap_s:>7.2f} s"
    return f"{what:<42} {code:>4} {took_s:>6.1f} s {figures}"


def line(site: Behind, load: Load, what: str, code: int, *words: str) -> bool:
    """Run a command on all hosts; print what its clients met, and say whether all was as it must be."""
    began = time.monotonic()
    result = site.run(*words, limit_s=600)
    took, met = time.monotonic() - began, load.between(began, time.monotonic())
    right = result.code == code and not met.wrong and len(set(site.live)) == 1 and not site.drained()
    print(row(what, result.code, took, met) + ("" if right else "  WRONG"), flush=True)
    if not right:
        late = ", ".join(f"{at:.2f} s" for at in load.failed_at(began))
        print(f"{result.err}\n{met} at {late}\n{site.live} {site.drained()}\n{site.told(took + 5)}", flush=True)
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


WAIT = "touch {0}/arrived; until [ -e {0}/go ]; do sleep 0.1; done"
BARRIERS = {  # where a rolling deploy is held: [strategy], and what else
    "before the first switch": ("", "[hooks.local]\nbefore_switch = ['{}']\n"),
    "between two switches": ("check = '{}'", ""),
    "before the confirm": ("batch = 3\ncheck = '{}'", ""),
}


def faults(site: Behind, load: Load, release: str, folder: Path, only: str = "") -> bool:
    """The client is killed, a line is cut, a host loses its power, at each barrier: all end on the old release."""
    right = True
    for barrier, (strategy, more) in ((b, how) for b, how in BARRIERS.items() if only in b):
        for fault in ("killed", "cut", "off"):
            wait, old = WAIT.format(folder), site.live[0]
            site.choose("rolling", "haproxy", strategy.format(wait))
            deploy = site.folder / "deploy.toml"
            deploy.write_text(deploy.read_text() + more.format(wait))
            began = time.monotonic()
            code, said = _hit(site, fault, release, folder)
            status = site.run("status")
            until(
                lambda old=old: site.live == [old] * 3 and not site.drained(), limit_s=150, what=f"{barrier}, {fault}"
            )
            until(lambda: site.run("status").code == 0, limit_s=60, what="one truth")
            met = load.between(began, time.monotonic())
            lost = met.wrong if fault != "off" else 0  # what a host was answering when its power went is lost
            right &= not lost
            print(row(f"{barrier}: {fault}", code, time.monotonic() - began, met))
            print(f"    {said}\n    status meanwhile: exit {status.code}", flush=True)
    return right


def _hit(site: Behind, fault: str, release: str, folder: Path) -> tuple[int, str]:
    """Deploy up to the barrier, let it happen, and say how the deploy ended; whoever was lost is back afterwards."""
    for name in ("arrived", "go"):
        (folder / name).unlink(missing_ok=True)
    process, victim = site.start("deploy", "--release", release), site.web[1]
    until(lambda: (folder / "arrived").exists() or process.poll() is not None, limit_s=300, what="the barrier")
    assert process.poll() is None, process.communicate()
    if fault == "killed":
        os.killpg(process.pid, signal.SIGKILL)
    elif fault == "cut":
        victim.run("pkill -KILL -u deploy -x sshd")
    else:
        victim.power_off()
    (folder / "go").touch()
    _, err = process.communicate(timeout=400)
    if fault == "off":
        victim.boot()
    return process.returncode, next((line for line in reversed(err.splitlines()) if " after " in line), "")


def main(*parts: str) -> int:
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
        print(f"{'':<42} exit   took    requests  failed  sent again  longest gap")
        for part in parts or ("haproxy", "faults", "nginx"):
            balancer = "nginx" if part == "nginx" else "haproxy"
            site.balance(balancer)
            with asking(site, retries=balancer == "nginx") as load:  # whose reloads close what is kept
                if part.startswith("faults"):
                    right &= faults(site, load, releases[1], Path(folder), part.partition(":")[2])
                else:
                    right &= turns(site, load, balancer, (releases[0], releases[1]))
        return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
