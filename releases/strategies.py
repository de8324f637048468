"""In which order hosts switch, and how many at a time: one pure function for each strategy, which returns batches."""

from math import ceil

from .config import Strategy
from .errors import UsageError
from .plan import Batch
from .surveyed import Surveyed

Hosts = tuple[Surveyed, ...]


def batches(strategy: Strategy, hosts: Hosts) -> tuple[Batch, ...]:
    """The batches in which *hosts* switch; each host is in one of them.

    Raises `UsageError` where the strategy cannot be had with so many hosts.
    """
    match strategy.kind:
        case "rolling":
            return rolling(strategy, hosts)
        case "canary":
            return canary(strategy, hosts)
        case _:
            return everybody(strategy, hosts)


def everybody(strategy: Strategy, hosts: Hosts) -> tuple[Batch, ...]:
    """All at once."""
    return (Batch(tuple(host.name for host in hosts)),)


def rolling(strategy: Strategy, hosts: Hosts) -> tuple[Batch, ...]:
    """So many at a time, who is ill first, and never so many that fewer than ``min_healthy`` are left to serve."""
    size, least = _share(strategy.batch, len(hosts)), _share(strategy.min_healthy, len(hosts))
    if isinstance(strategy.batch, int) and size > len(hosts):
        raise UsageError(
            f"strategy.batch: {size} at a time, but there are {len(hosts)} hosts",
            hint='a share grows with them: batch = "50%"',
        )
    if (well := sum(map(healthy, hosts))) - size < least:
        raise UsageError(
            f"strategy.min_healthy: {least} must go on serving, but {well} of {len(hosts)} are healthy"
            f" and {size} switch at a time",
            hint="a smaller strategy.batch, or a smaller strategy.min_healthy",
        )
    ordered = [host.name for host in sorted(hosts, key=healthy)]
    cut = [tuple(ordered[i : i + size]) for i in range(0, len(ordered), size)]
    return _paused(cut, strategy.pause_s, strategy.check)


def canary(strategy: Strategy, hosts: Hosts) -> tuple[Batch, ...]:
    """Some first, which are watched for ``watch_s``; then the rest at once."""
    names = [host.name for host in hosts]
    first = [name for name in names if name in strategy.hosts] if strategy.hosts else names[: strategy.count]
    if unknown := set(strategy.hosts) - set(names):
        raise UsageError(
            f"strategy.hosts: {sorted(unknown)[0]} is none of the hosts of this deploy",
            hint=f"they are {', '.join(names)}",
        )
    rest = [name for name in names if name not in first]
    if not rest:
        raise UsageError(f"strategy: all {len(names)} hosts would be canaries", hint='fewer, or kind = "all"')
    return _paused([tuple(first), tuple(rest)], strategy.watch_s, strategy.check)


def healthy(host: Surveyed) -> bool:
    """Does it serve what is live there, as far as a survey tells? What cannot be told is taken for well."""
    live = host.facts.live
    if live is None or host.facts.live_kind != "link":
        return False
    asked = (kind for kind in host.kinds if host.facts.answer.below(kind.name).pairs)
    return all(bool(kind.proof(live, host.facts)) for kind in asked)


def _paused(cut: list[tuple[str, ...]], watch_s: float, check: str) -> tuple[Batch, ...]:
    """Each batch but the last is watched before the next begins."""
    return (*(Batch(names, watch_s, check) for names in cut[:-1]), Batch(cut[-1]))


def _share(wanted: int | str, of: int) -> int:
    """A count as it is; a share of *of*, at least one unless it is none.

    >>> _share("25%", 10), _share("25%", 2), _share(3, 10), _share("0%", 10)
    (3, 1, 3, 0)
    """
    return ceil(of * int(wanted.removesuffix("%")) / 100) if isinstance(wanted, str) else wanted
