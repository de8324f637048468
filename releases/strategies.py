"""In which order hosts switch, and how many at a time: one pure function for each strategy, which returns batches."""

from math import ceil

from .config import Strategy
from .errors import UsageError
from .plan import Batch
from .surveyed import Surveyed

Hosts = tuple[Surveyed, ...]


def batches(strategy: Strategy, hosts: Hosts) -> tuple[Batch, ...]:
    """The batches in which *hosts* switch; each host is in one of them.

    Raises `UsageError` where too few would be left to serve.
    """
    match strategy.kind:
        case "rolling":
            return rolling(strategy, hosts)
        case "canary":
            return canary(strategy, hosts)
        case _:
            return everybody(strategy, hosts)


def everybody(strategy: Strategy, hosts: Hosts) -> tuple[Batch, ...]:
    """All at once; ``check`` must agree before they are confirmed."""
    return (Batch(tuple(host.name for host in hosts), check=strategy.check),)


def rolling(strategy: Strategy, hosts: Hosts) -> tuple[Batch, ...]:
    """So many at a time, who is ill first, and never so many that fewer than ``min_healthy`` are left to serve."""
    size = min(_share(strategy.batch, len(hosts)), len(hosts))
    ordered = sorted(hosts, key=healthy)
    cut = [ordered[i : i + size] for i in range(0, len(hosts), size)]
    _check_enough_serve(strategy, cut)
    return _paused([tuple(host.name for host in batch) for batch in cut], strategy.pause_s, strategy.check)


def _check_enough_serve(strategy: Strategy, cut: list[list[Surveyed]]) -> None:
    """Raise `UsageError` for a batch that would take those that serve below ``min_healthy``; who is ill is no loss."""
    count = sum(map(len, cut))
    least = _share(strategy.min_healthy, count)
    for number, batch in enumerate(cut):
        left = sum(map(len, cut[:number])) + sum(healthy(host) for later in cut[number + 1 :] for host in later)
        if left < least and any(map(healthy, batch)):
            well = sum(healthy(host) for each in cut for host in each)
            raise UsageError(
                f"strategy.min_healthy: {least} must go on serving, but {well} of {count} are healthy"
                f" and {len(batch)} switch at a time",
                hint="a smaller strategy.batch, or a smaller strategy.min_healthy",
            )


def canary(strategy: Strategy, hosts: Hosts) -> tuple[Batch, ...]:
    """Some first, which are watched for ``watch_s``; then the rest at once."""
    first = canaries(strategy, hosts)
    rest = tuple(host.name for host in hosts if host.name not in first)
    return _paused([first, *([rest] if rest else [])], strategy.watch_s, strategy.check)


def canaries(strategy: Strategy, hosts: Hosts) -> tuple[str, ...]:
    """Who goes first: those that ``hosts`` names, else the first ``count``.

    Where none of those that are named takes part, as many others stand in for them.
    """
    names = tuple(host.name for host in hosts)
    named = tuple(name for name in names if name in strategy.hosts)
    return named or names[: len(strategy.hosts) or strategy.count]


def check_fits(strategy: Strategy, names: tuple[str, ...]) -> None:
    """Raise `UsageError` where *strategy* cannot be had with hosts of these *names*, were they all there."""
    count = len(names)
    if count < 2:
        return
    if strategy.kind == "rolling" and isinstance(strategy.batch, int) and strategy.batch > count:
        raise UsageError(
            f"strategy.batch: {strategy.batch} at a time, but there are {count} hosts",
            hint='a share grows with them: batch = "50%"',
        )
    if strategy.kind != "canary":
        return
    if unknown := [name for name in strategy.hosts if name not in names]:
        raise UsageError(
            f"strategy.hosts: {unknown[0]} is none of the hosts of this deploy",
            hint=f"they are {', '.join(names)}",
        )
    if (len(strategy.hosts) or strategy.count) >= count:
        raise UsageError(f"strategy: all {count} hosts would be canaries", hint='fewer, or kind = "all"')


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
