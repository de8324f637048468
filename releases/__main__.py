"""The console program: the tasks of ./tasks.py where it has ours, else the shipped ones."""

import re
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
    own, tasks = Path.cwd() / "tasks.py", TASKS
    sys.path.insert(0, str(Path.cwd()))
    if own.exists():
        if _has_ours(own):
            tasks = own
        else:
            print("switchover: ./tasks.py has none of our commands: the shipped ones are used", file=sys.stderr)
    program = _Program(namespace=namespace(tasks), name="switchover", binary="switchover", version=_version())
    program.run()


def _has_ours(tasks: Path) -> bool:
    """Whether it imports our commands; it is not run to find out: Celery's tasks.py does what it likes."""
    ours = rb"^\s*(?:from\s+releases\s+import\b.*\b|(?:from|import)\s+releases\.)(?:commands|recipe)\b"
    return re.search(ours, tasks.read_bytes(), re.M) is not None


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("switchover")
    except PackageNotFoundError:
        return "unknown"


if __name__ == "__main__":
    main()
