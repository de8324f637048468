"""The console program: the tasks of ./tasks.py where there is one, else the shipped ones."""

import sys
from pathlib import Path

from invoke.program import Program

from .recipe import TASKS, namespace


def main() -> None:
    """Run ``switchover COMMAND …``: the same code as ``inv COMMAND …``."""
    own = Path.cwd() / "tasks.py"
    sys.path.insert(0, str(Path.cwd()))
    version = _version()
    program = Program(namespace=namespace(own if own.exists() else TASKS), name="switchover", version=version)
    program.run()


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("switchover")
    except PackageNotFoundError:
        return "unknown"


if __name__ == "__main__":
    main()
