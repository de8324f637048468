"""Where the kinds of app servers are listed."""

from collections.abc import Mapping

from .. import config
from .command import Command
from .gunicorn import Gunicorn
from .kind import Kind
from .systemd import Systemd


def kinds(settings: config.Config, digests: Mapping[str, str] | None = None) -> tuple[Kind, ...]:
    """The processes of *settings*, in its order; *digests* are those of the units that `setup` installs."""
    return tuple(_kind(settings, name, process, digests or {}) for name, process in settings.processes.items())


def _kind(settings: config.Config, name: str, process: config.Process, digests: Mapping[str, str]) -> Kind:
    match process:
        case config.Systemd():
            return Systemd(name, settings.app, settings.root, process, digests.get(name, ""))
        case config.Gunicorn():
            return Gunicorn(name, settings.root, process)
        case config.Command():
            return Command(name, settings.root, process)
