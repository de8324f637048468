"""init: a tasks.py and a deploy.toml to begin with."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from .errors import Refused
from .recipe import TASKS

STARTER = TASKS.parent / "templates" / "deploy.toml"


def start(project: Path) -> Iterator[str]:
    """Copy both into *project*, and say what comes next; what is there already is left as it is.

    Raises `Refused` when there is nothing to do.
    """
    wanted = {project / "tasks.py": TASKS, project / "deploy.toml": STARTER}
    missing = {path: source for path, source in wanted.items() if not path.exists()}
    if not missing:
        raise Refused("tasks.py and deploy.toml are here already")
    for path, source in missing.items():
        shutil.copyfile(source, path)
        yield f"wrote {path.name}"
    yield "next: edit deploy.toml (app, root, hosts), then `inv setup`, `inv plan`, `inv deploy`"
