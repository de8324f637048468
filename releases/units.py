"""The systemd units that `setup` installs, rendered from ``templates/systemd``."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .answer import Answer
from .config import Config
from .processes.kinds import kinds
from .processes.systemd import Systemd
from .scripts import TEMPLATES

REHEARSAL_S = 300  # or another `wait_s` would mostly need another unit, and that another `setup`


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES / "systemd"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


@dataclass(frozen=True, slots=True)
class Account:
    """Who deploys to a host, and its primary group, which may enter a private socket of the system scope."""

    user: str = ""
    group: str = ""

    @classmethod
    def of(cls, answer: Answer) -> "Account":
        """As a survey tells it."""
        return cls(answer.one("user"), answer.one("group"))


def units(process: Systemd, owner: Account) -> Mapping[str, str]:
    """The unit files of *process*, by name, in the order in which their digest is taken."""
    return {
        name: _environment().get_template(t).render(**values) for name, (t, values) in _wanted(process, owner).items()
    }


def digests(config: Config, owner: Account) -> Mapping[str, str]:
    """What the installed units of each process must hash to."""
    found = (kind for kind in kinds(config) if isinstance(kind, Systemd))
    return {kind.name: hashlib.sha256("".join(units(kind, owner).values()).encode()).hexdigest() for kind in found}


def _seconds(number: float) -> str:
    """As systemd reads it, which knows no exponents.

    >>> _seconds(30 * 86400), _seconds(0.5)
    ('2592000', '0.5')
    """
    return f"{number:.12g}"


def _wanted(process: Systemd, owner: Account) -> Mapping[str, tuple[str, Mapping[str, object]]]:
    settings, unit = process.settings, process.unit
    system = settings.scope == "system"
    private, rehearsal = f"{unit}-private@%i.socket", f"{unit}-rehearsal@%i.socket"
    values = {
        "unit": unit,
        "name": process.name,
        "root": process.root,
        "scope": settings.scope,
        "flag": "" if system else "--user",
        "target": "multi-user.target" if system else "default.target",
        "user": (settings.user or owner.user) if system else "",
        "owner": owner.user,
        "group": owner.group,
        "listen": settings.listen,
        "before_stop": settings.before_stop,
        "drain_s": _seconds(settings.drain_s),
        "directory": f"/run/{unit}" if system else f"%t/{unit}",
        "rehearsal": False,
        "rehearsal_s": _seconds(max(REHEARSAL_S, process.limit_s)),
    }
    held = f"{unit}.socket {private}" if settings.listen else ""
    wanted: dict[str, tuple[str, Mapping[str, object]]] = {
        f"{unit}.service": ("boot.service.j2", values),
        f"{unit}@.service": ("instance.service.j2", {**values, "sockets": held}),
    }
    if settings.listen:
        asked = {**values, "prefix": "rehearsal-", "service": f"{unit}-rehearsal"}
        wanted |= {
            f"{unit}.socket": ("socket.j2", values),
            f"{unit}-private@.socket": ("private.socket.j2", {**values, "prefix": "", "service": unit}),
            f"{unit}-rehearsal@.service": ("instance.service.j2", {**values, "sockets": rehearsal, "rehearsal": True}),
            f"{unit}-rehearsal@.socket": ("private.socket.j2", asked),
        }
    return wanted
