"""Many hosts at once: roots behind some sshds of this machine, 50 ms away."""

import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.distance import Distance
from bench.figures import Figure, median, table, targets
from bench.fleet import Measured, Targets, measured, processor_s
from bench.lean import FAR_S
from bench.subjects import Project, Script
from tests.sshd import Sshd

SSHDS = 5
BEGIN = 8  # connections that begin at once at one address, as of the deployer


@contextmanager
def crowd(count: int, round_trip_s: float, *, sshds: int = SSHDS) -> Iterator[tuple[Targets, list[Script]]]:
    """A small site on *count* roots, and what deploys it to as many by rsync."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 8192), hard), hard))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        hosts = [stack.enter_context(Sshd()) for _ in range(sshds)]
        lines = [stack.enter_context(Distance(sshd, round_trip_s)) for sshd in hosts]
        config = Path(folder) / "ssh_config"
        (Path(folder) / "known_hosts").write_text("".join(sshd.known_hosts.read_text() for sshd in hosts))
        aliases = "".join(
            f"Host h{number}\n  HostName 127.0.0.1\n  Port {line.port}\n  IdentityFile {sshd.identity}\n"
            for number, (sshd, line) in enumerate(zip(hosts, lines, strict=True))
        )
        config.write_text(
            f"{aliases}Host *\n  User {hosts[0].user}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
        )
        Targets.addresses = tuple(f"h{number}" for number in range(sshds))
        Targets.names = tuple(f"t{number:03}" for number in range(1, count + 1))
        targets = Targets(Path(folder) / "shop", Path(folder) / "srv", hosts[0].address, config)
        targets.configure(settle_s=0)
        scripts = [
            Script(Project(targets.folder, Path(folder) / "scripts" / name, hosts[at], lines[at].port, f"h{at}"))
            for at, name in ((number % sshds, name) for number, name in enumerate(targets.names))
        ]
        yield targets, scripts


def lean(count: int, rounds: int) -> tuple[list[Measured], list[tuple[float, float]]]:
    """Deploys of one changed file among 200 to *count* hosts; and by script, seconds and those of all processors."""
    with crowd(count, FAR_S) as (targets, scripts):
        for file in range(200):
            (targets.folder / f"page-{file}.html").write_text(f"{file}\n" * 1000)
        targets.write("v0")
        measured(targets, "deploy")
        for script in scripts:
            script.ready()
        _by_script(scripts)
        found, beside = list[Measured](), list[tuple[float, float]]()
        for number in range(rounds):
            targets.write(f"v{number + 1}")
            found.append(measured(targets, "deploy"))
            assert targets.versions == {f"v{number + 1}"}
            beside.append(_by_script(scripts))
        return found, beside


def _by_script(scripts: list[Script]) -> tuple[float, float]:
    """All at once, but for what sshd would refuse."""
    began, (*_, spent_s) = time.monotonic(), processor_s()
    with ThreadPoolExecutor(BEGIN * SSHDS) as pool:
        list(pool.map(Script.deploy, scripts))
    took_s, (*_, now_s) = time.monotonic() - began, processor_s()
    print(f"by script: {took_s:5.1f} s")
    return took_s, now_s - spent_s


def section(rounds: int = 3) -> str:
    """Seconds as multiples of one host, and memory."""
    counts = (1, 20, 50, 100)
    both = {count: lean(count, rounds) for count in counts}
    found = {count: ours for count, (ours, _) in both.items()}
    took = {count: median([each.seconds for each in found[count]]) for count in counts}
    figures = [
        Figure(f"{count} hosts, × one", limit, took[count] / took[1], about=f"{took[count]:.1f} s / {took[1]:.1f} s")
        for count, limit in ((20, 2.0), (100, 6.0))
    ]
    peak = max(each.peak_mb for each in found[50])
    figures.append(Figure("memory of the deployer with 50 hosts", 120, peak, " MB"))
    ours = table(
        ("hosts", "all", "the deployer", "the lines", "each host"),
        [(str(count), *_account(count, found[count])) for count in counts],
    )
    script = table(
        ("hosts", "took", "processor time"),
        [(str(count), *(f"{median(each):.2f}" for each in zip(*both[count][1], strict=True))) for count in counts],
    )
    return (
        f"{targets(figures)}\n\nProcessor time of a deploy, seconds:\n\n{ours}\n\n"
        f"The rsync script to as many hosts, {BEGIN * SSHDS} at a time, in turns with the above, seconds:\n\n{script}"
    )


def _account(count: int, rounds: list[Measured]) -> tuple[str, ...]:
    """Medians; what nobody else has is the hosts'."""
    of_all, own, lines = (median([getattr(each, name) for each in rounds]) for name in ("all_s", "own_s", "bench_s"))
    return tuple(f"{seconds:.2f}" for seconds in (of_all, own, lines, (of_all - own - lines) / count))
