"""What it costs to begin: ``inv --list`` beside a bare Python and the import of invoke."""

import resource
import subprocess
import sys
from pathlib import Path

from bench.figures import Figure, median, targets
from bench.subjects import REPOSITORY
from tests.app import environ


def cpu_s(*words: str) -> float:
    """The processor time of a command, here: that of the wall is anybody's on a shared machine."""
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, cwd=REPOSITORY, env=environ(Path.home()), stdout=subprocess.DEVNULL, check=True)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (ended.ru_utime + ended.ru_stime) - (began.ru_utime + began.ru_stime)


def section(rounds: int = 15) -> str:
    """In turns."""
    inv = str(Path(sys.executable).with_name("inv"))
    took: dict[str, list[float]] = {"pass": [], "invoke": [], "list": []}
    for _ in range(rounds):
        took["pass"].append(cpu_s(sys.executable, "-c", "pass"))
        took["invoke"].append(cpu_s(sys.executable, "-c", "import invoke.program"))
        took["list"].append(cpu_s(inv, "--list"))
    bare, invoke, listed = (median(took[name]) for name in ("pass", "invoke", "list"))
    about = f"{listed * 1000:.0f} ms; python {bare * 1000:.0f} ms, with invoke {invoke * 1000:.0f} ms"
    return targets([Figure("`inv --list`, × `python -c pass` and invoke's import", 3.0, listed / invoke, about=about)])
