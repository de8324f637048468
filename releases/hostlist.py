"""Host lists that a command prints (``from`` of a host table): which are asked for, and what was answered."""

from collections.abc import Callable, Iterable

from .addresses import repeated, split
from .errors import Refused
from .targets import Groups
from .wording import first_line, shown

LIMIT_S = 60.0  # what a command may take
Ask = Callable[[str, str], str]  # runs a command in the project and returns what it printed, or raises Refused,
# which begins with the place of the command


def nobody(place: str, command: str) -> str:
    """An `Ask` for whoever runs nothing."""
    raise Refused(f"{place}: nobody is there to run `{first_line(command)}`")


def asked(tables: Iterable[str], groups: Groups, host: str) -> frozenset[str]:
    """Those of *tables* whose commands *host* needs; *groups* are all tables, with the addresses that are written.

    A word of *host* that is neither a table nor such an address may be in any of them.
    """
    words = [word.strip() for word in host.split(",")] if host.strip() else list(groups)[: len(groups) == 1]
    written = [target for targets in groups.values() for target in targets]
    strange = [word for word in words if word not in groups and not any(target.is_called(word) for target in written)]
    return frozenset(name for name in tables if name in words or any(strange))


def listed(said: str, *, place: str, command: str) -> tuple[str, ...]:
    """The addresses that *command* printed, one on each line; blank lines and those that begin with # say nothing.

    >>> listed("# up\\nweb1\\n\\nana@web2:22\\n", place="hosts.cloud.from", command="list")
    ('web1', 'ana@web2:22')

    Raises `Refused` when there is none, for a line that is no address, and for a host that comes twice.
    """
    run = f"{place}: `{first_line(command)}`"
    lines = [line.strip() for line in said.splitlines()]
    found = tuple(line for line in lines if line and not line.startswith("#"))
    if not found:
        raise Refused(f"{run} printed no host", hint="run it by hand: it must print one address per line")
    for line in found:
        try:
            split(line)
        except ValueError:
            hint = "one address per line: [user@]host[:port], IPv6 in brackets"
            raise Refused(f"{run} printed {shown(line)}, which is no address", hint=hint) from None
    for name in repeated(found):
        raise Refused(f"{run} printed {name} twice", hint="it must print each host once")
    return found
