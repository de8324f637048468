"""setup: what a host needs before its first deploy; nothing of it is done as root."""

from collections.abc import Mapping

from . import units
from .config import Config
from .facts import Facts
from .layout import Layout
from .plan import Step
from .processes.gunicorn import Gunicorn
from .processes.kinds import kinds
from .processes.systemd import Systemd
from .scripts import render, rootscript


def setup(config: Config, facts: Facts) -> Step:
    """Make the directories and install the units of the user scope; answers what is left for root to do.

    The script for root lies on the host, to be read before it is run.
    """
    owner = units.Account.of(facts.answer)
    wanted = units.digests(config, owner)
    found = [kind for kind in kinds(config) if isinstance(kind, Systemd)]
    user = [k for k in found if k.settings.scope == "user"]
    system = [k for k in found if k.settings.scope == "system"]
    stale = [k for k in system if facts.answer.one(f"{k.name}.units") != wanted[k.name]]
    started = [kind.values() for kind in kinds(config) if isinstance(kind, Gunicorn) and kind.settings.start]
    values = {
        "root": config.root,
        "boot": render(Step("boot", {"root": config.root, "started": started}, "")),
        "dirs": config.shared.dirs,
        "files": [{"name": name, "text": text} for name, text in _files(user, owner).items()],
        "sockets": [f"{k.unit}.socket" for k in user if k.settings.listen],
        "services": [f"{k.unit}.service" for k in user],
        "names": " ".join(k.unit for k in user),
        "instances": (*_instances(user), *(f"/etc/systemd/system/{name}" for name in _instances(system))),
        "booted": bool(found),
        "starts": bool(started),
        "superuser": _superuser(config, system, owner) if stale else "",
    }
    return Step("setup", values, "make directories, install units")


def _instances(found: list[Systemd]) -> list[str]:
    """The units that say in which root they run."""
    return [name for kind in found for name in kind.unit_files if name.endswith("@.service")]


def _files(found: list[Systemd], owner: units.Account) -> Mapping[str, str]:
    return {name: text for kind in found for name, text in units.units(kind, owner).items()}


def _superuser(config: Config, found: list[Systemd], owner: units.Account) -> str:
    """What root runs once: units of the system scope, and a helper that lets the deploy account start and stop them."""
    return rootscript(
        app=config.app,
        owner=owner.user,
        private=Layout(config.root).private,
        files=[{"name": name, "text": text} for name, text in _files(found, owner).items()],
        names=[kind.unit for kind in found],
        sockets=[f"{k.unit}.socket" for k in found if k.settings.listen],
        services=[f"{k.unit}.service" for k in found],
    )
