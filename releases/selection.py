"""Which hosts a command is about: read from deploy.toml, and called while all else is made ready."""

from dataclasses import dataclass
from pathlib import Path

from .config import Target, tables
from .dialing import Dialing
from .hostlist import LIMIT_S
from .local import printed
from .targets import chosen, left_out


@dataclass(frozen=True, slots=True)
class Selection:
    """The *targets* of a *project*, the names of those that were left out, and the connections on their way."""

    project: Path
    targets: tuple[Target, ...]
    without: tuple[str, ...]
    dialing: Dialing


def select(project: Path, *, host: str, without: str) -> Selection:
    """Read deploy.toml in *project*; *without* names hosts to leave out. Raises what is wrong with either."""
    file = project / "deploy.toml"

    def ask(place: str, command: str) -> str:
        return printed(command, what=place, here=project, limit_s=LIMIT_S)

    groups = tables(file, host=host, ask=ask)
    targets, gone = chosen(groups, host, without), left_out(groups, host, without)
    return Selection(project, targets, gone, Dialing(targets))
