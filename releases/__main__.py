"""The console program: the tasks of ./tasks.py where it has ours, else the shipped ones."""

import re
import shlex
import sys
import traceback
from pathlib import Path

from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError
from invoke.program import Program

from .recipe import TASKS, namespace


class _Program(Program):
    """Ends with 2, as every mistake of the command line does, where invoke ends with 1."""

    def parse_core(self, argv: list[str] | None) -> None:
        if len(words := _run(sys.argv[1:] if argv is None else argv)) > 1:
            hint = f"quote it: {self.binary} exec {shlex.quote(shlex.join(words))}"
            raise Exit(f"switchover: exec takes one command, not {len(words)} words\n  hint: {hint}", code=2)
        super().parse_core(argv)

    def print_version(self) -> None:
        self.version = _version()
        super().print_version()

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
    program = _Program(namespace=_loaded(tasks), name="switchover", binary="switchover")
    program.run()


def _loaded(tasks: Path) -> Collection:
    """The commands of it; what keeps it from being imported is one line, and the end."""
    try:
        return namespace(tasks)
    except Exception as error:
        print(f"switchover: {_mistake(tasks, error)}\n  hint: `inv --list` shows the whole traceback", file=sys.stderr)
        sys.exit(2)


def _mistake(tasks: Path, error: Exception) -> str:
    """Where in *tasks* it is, and what; and where else, when it is in what that imports."""
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((error.filename, error.lineno))
    frames = [frame for frame in frames if not frame[0].startswith("<")]
    ours = next((line for file, line in reversed(frames) if file == str(tasks)), None)
    file, line = frames[-1]
    place = f"./tasks.py, line {ours}" if ours else "./tasks.py"
    elsewhere = "" if file == str(tasks) else f" ({file}, line {line})"
    return f"{place}: {type(error).__name__}: {' '.join(str(error).split())}{elsewhere}"


def _run(argv: list[str]) -> list[str]:
    """The words that ``exec`` is to run, of which there may be one: others invoke takes for flags of its own."""
    if "exec" not in argv or next(word for word in argv if not word.startswith("-")) != "exec":
        return []
    words, rest = list[str](), iter(argv[argv.index("exec") + 1 :])
    for word in rest:
        if word in ("--host", "-h"):
            next(rest, "")
        elif not word.startswith("--host=") and word not in ("--json", "-j", "--help", "--run", "-r"):
            words.append(word)
    return words


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
