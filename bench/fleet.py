"""What does a fleet cost, and who wins a race? ``python bench/fleet.py [TARGETS] [HOSTS] [RACES]``

Deploys a site to TARGETS (50) roots behind HOSTS (5) sshds of this machine, three times: first, changed, rolled back.
Prints seconds, swap skew, the highest resident memory of the deployer, and the table at the end of a deploy that fails
on one target. Then two clients deploy at once to sets of targets that overlap, RACES (100) times: one of them, or one
after the other, must go on, and no target may be left half.
"""

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.app import App
from tests.sshd import Sshd

FAILS = "[hooks]\nafter_switch = ['case $NEW_RELEASE in */{}/*) exit 3 ;; esac']\n"
RACERS = 4  # targets, of which one client takes the first three, the other the last three, backwards


class Targets(App):
    """A site on many roots; `root` holds them."""

    addresses: tuple[str, ...]
    names: tuple[str, ...]

    def configure(self, more: str = "", *, build: str = 'source = "folder"', settle_s: float = 0.5) -> None:
        """Write deploy.toml, with a table for each target."""
        tables = "".join(
            f'[hosts.{name}]\nssh = ["{self.addresses[i % len(self.addresses)]}"]\nroot = "{self.root}/{name}"\n'
            for i, name in enumerate(self.names)
        )
        (self.folder / "deploy.toml").write_text(
            f'app = "shop"\n{tables}[build]\n{build}\nexclude = ["deploy.toml"]\n'
            f"[strategy]\nsettle_s = {settle_s}\n{more}"
        )
        for name in self.names:
            (self.root / name).mkdir(parents=True, exist_ok=True)

    def start(self, *words: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start ``switchover WORDS`` as a person does: with all that it imports."""
        return subprocess.Popen(
            [sys.executable, "-m", "releases", *words],
            cwd=self.folder,
            env={**self.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def versions(self) -> set[str]:
        """What is live, over all targets."""
        return {(self.root / name / "current" / "version").read_text() for name in self.names}


class Measured(NamedTuple):
    """What a command took; of processor time the command itself, what ran the measurement, and all of the machine."""

    seconds: float
    peak_mb: float
    own_s: float
    bench_s: float
    all_s: float


def measured(targets: Targets, *words: str) -> Measured:
    """Run a command on all targets; print its figures, and the end of what it said."""
    began, spent = time.monotonic(), processor_s()
    process = targets.start(*words, "--host", ",".join(targets.names))
    peak = 0
    said = []
    assert process.stderr
    for line in process.stderr:
        said.append(line.rstrip())
        peak = max(peak, _resident_kib(process.pid))
    process.communicate()
    skew = next((found[0] for line in said if (found := re.search(r"swap skew: [\d.]+ s", line))), "no swap skew")
    took, size = time.monotonic() - began, peak / 1024
    print(f"{' '.join(words):<10} exit {process.returncode}: {took:5.1f} s, {skew}, deployer {size:.0f} MB")
    for line in said[-len(targets.names) - 3 :] if process.returncode else said[-1:]:
        print(f"    {line}")
    return Measured(took, size, *(after - before for before, after in zip(spent, processor_s(), strict=True)))


def processor_s() -> tuple[float, float, float]:
    """So far: of what was started here and has ended, of ourselves (proxies are threads of us), of the machine."""
    children, own = (resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF))
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    busy = sum(ticks) - ticks[3] - ticks[4]  # idle, and waiting for a disk
    return children.ru_utime + children.ru_stime, own.ru_utime + own.ru_stime, busy / os.sysconf("SC_CLK_TCK")


def _resident_kib(pid: int) -> int:
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def race(targets: Targets, times: int) -> None:
    """Two clients at once, each with three of four targets."""
    ends: dict[tuple[int, ...], int] = {}
    sets = (targets.names[: RACERS - 1], tuple(reversed(targets.names[1:RACERS])))
    for turn in range(times):
        targets.write(f"race {turn}")
        racing = [targets.start("deploy", "--force", "--host", ",".join(names)) for names in sets]
        for process in racing:
            process.communicate(timeout=120)
        codes = tuple(sorted(process.returncode for process in racing))
        ends[codes] = ends.get(codes, 0) + 1
        for names, process in zip(sets, racing, strict=True):
            for name in names if process.returncode == 0 else ():
                assert (targets.root / name / "current" / "version").read_text() == f"race {turn}", (turn, name)
    print(f"{times} races: " + ", ".join(f"{count} ended with {codes}" for codes, count in sorted(ends.items())))


def main(count: int = 50, hosts: int = 5, races: int = 100) -> None:
    """Measure and print."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sshds = [stack.enter_context(Sshd()) for _ in range(hosts)]
        config = Path(folder) / "ssh_config"
        known = "".join(sshd.known_hosts.read_text() for sshd in sshds)
        (Path(folder) / "known_hosts").write_text(known)
        Targets.addresses = tuple(sshd.address for sshd in sshds)
        Targets.names = tuple(f"t{number:02}" for number in range(1, count + 1))
        hosts_of = "".join(f"Host *\n  IdentityFile {sshd.identity}\n" for sshd in sshds)
        config.write_text(f"{hosts_of}  UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile /dev/null\n")
        targets = Targets(Path(folder) / "shop", Path(folder) / "srv", sshds[0].address, config)
        for file in range(200):
            (targets.folder / f"page-{file}.html").write_bytes(os.urandom(5_000))
        targets.write("v1")
        measured(targets, "deploy")
        targets.write("v2")
        measured(targets, "deploy")
        assert targets.versions == {"v2"}
        measured(targets, "rollback")
        assert targets.versions == {"v1"}
        targets.configure(FAILS.format(targets.names[-2]))
        targets.write("v3")
        measured(targets, "deploy")
        assert targets.versions == {"v1"}
        targets.configure(settle_s=0.05)
        race(targets, races)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
