"""Many hosts at once: roots behind some sshds of this machine, 50 ms away."""

import resource
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.distance import Distance
from bench.figures import Figure, median, table, targets
from bench.fleet import Measured, Targets, measured
from bench.lean import FAR_S
from tests.sshd import Sshd

SSHDS = 5


@contextmanager
def crowd(count: int, round_trip_s: float, *, sshds: int = SSHDS) -> Iterator[Targets]:
    """A small site on *count* roots."""
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
        yield targets


def lean(count: int, rounds: int) -> list[Measured]:
    """Deploys of one changed file among 200 to *count* hosts."""
    with crowd(count, FAR_S) as targets:
        for file in range(200):
            (targets.folder / f"page-{file}.html").write_text(f"{file}\n" * 1000)
        targets.write("v0")
        measured(targets, "deploy")
        found = []
        for number in range(rounds):
            targets.write(f"v{number + 1}")
            found.append(measured(targets, "deploy"))
            assert targets.versions == {f"v{number + 1}"}
        return found


def section(rounds: int = 3) -> str:
    """Seconds as multiples of one host, and memory."""
    counts = (1, 20, 50, 100)
    found = {count: lean(count, rounds) for count in counts}
    took = {count: sorted(each.seconds for each in found[count])[rounds // 2] for count in counts}
    figures = [
        Figure(f"{count} hosts, × one", limit, took[count] / took[1], about=f"{took[count]:.1f} s / {took[1]:.1f} s")
        for count, limit in ((20, 2.0), (100, 6.0))
    ]
    peak = max(each.peak_mb for each in found[50])
    figures.append(Figure("memory of the deployer with 50 hosts", 120, peak, " MB"))
    return f"{targets(figures)}\n\nProcessor time of a deploy, seconds:\n\n" + table(
        ("hosts", "all", "the deployer", "the lines", "each host"),
        [(str(count), *_account(count, found[count])) for count in counts],
    )


def _account(count: int, rounds: list[Measured]) -> tuple[str, ...]:
    """Medians; what nobody else has is the hosts'."""
    of_all, own, lines = (median([getattr(each, name) for each in rounds]) for name in ("all_s", "own_s", "bench_s"))
    return tuple(f"{seconds:.2f}" for seconds in (of_all, own, lines, (of_all - own - lines) / count))
