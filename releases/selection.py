"""Which hosts a command is about: read from deploy.toml, and called while all else is made ready."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .dialing import Dialing
from .document import read
from .early import early
from .local import printed

if TYPE_CHECKING:
    from .targets import Target


@dataclass(frozen=True, slots=True)
class Selection:
    """The *targets* of a *project*, the names of those that were left out, and the connections on their way."""

    project: Path
    targets: "tuple[Target, ...]"
    without: tuple[str, ...]
    dialing: Dialing


def select(project: Path, *, host: str, without: str) -> Selection:
    """Read deploy.toml in *project*; *without* names hosts to leave out. Raises what is wrong with either."""
    document, dialing = read(project / "deploy.toml"), Dialing()
    dialing.call(early(document, host, without))
    from .config import tables  # while they are called: pydantic and our settings take as long
    from .hostlist import LIMIT_S
    from .targets import chosen, left_out

    def ask(place: str, command: str) -> str:
        return printed(command, what=place, here=project, limit_s=LIMIT_S)

    try:
        groups = tables(document, host=host, ask=ask)
        targets, gone = chosen(groups, host, without), left_out(groups, host, without)
    except BaseException:
        dialing.close()
        raise
    dialing.call(target.destination for target in targets)
    return Selection(project, targets, gone, dialing)
