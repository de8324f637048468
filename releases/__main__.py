"""The console program: the tasks of ./tasks.py where there is one, else the shipped ones."""

import sys
from pathlib import Path

from invoke.exceptions import Exit, ParseError
from invoke.program import Program

from .recipe import TASKS, namespace


class _Program(Program):
    """Ends with 2, as every mistake of the command line does, where invoke ends with 1."""

    def parse_tasks(self) -> None:
        try:
            super().parse_tasks()
        except ParseError as error:
            known = f"{self.binary} --list"
            if error.context and error.context.name:
                known = f"{self.binary} {error.context.name} --help"
            raise Exit(f"switchover: {' '.join(str(error).split())}\n  hint: see `{known}`", code=2) from None


def main() -> None:
    """Run ``switchover COMMAND …``: the same code as ``inv COMMAND …``."""
    own = Path.cwd() / "tasks.py"
    sys.path.insert(0, str(Path.cwd()))
    version = _version()
    program = _Program(
        namespace=namespace(own if own.exists() else TASKS), name="switchover", binary="switchover", version=version
    )
    program.run()


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("switchover")
    except PackageNotFoundError:
        return "unknown"


if __name__ == "__main__":
    main()
