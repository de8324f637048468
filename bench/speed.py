"""How fast is it, and beside what? ``make bench``, or ``make bench ONLY=lean`` for some of its sections.

Sections: lean, turns, crowd, large, starting. Each replaces its own part of docs/benchmarks.md.
"""

import platform
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench import crowd, large, lean, starting, turns
from bench.figures import DOCUMENT, written

SECTIONS: dict[str, tuple[str, Callable[[], str]]] = {
    "lean": ("A deploy of a site of 2 000 files, 20 MB", lean.section),
    "turns": ("Every round trip of it", turns.section),
    "crowd": ("Many hosts, 50 ms away", crowd.section),
    "large": ("Many files, and large ones", large.section),
    "starting": ("Before anything begins", starting.section),
}


def said(*words: str) -> str:
    """The first line that a command prints."""
    done = subprocess.run(words, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip().partition("\n")[0]


def where() -> str:
    """The versions, and the machine."""
    ours = ", ".join(f"{name} {version(name)}" for name in ("paramiko", "fabric", "invoke", "pydantic", "jinja2"))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {said('git', 'describe', '--always', '--dirty')}; "
        f"Python {platform.python_version()}, {ours}; {said('ssh', '-V')}; {said('rsync', '--version')}; "
        f"{said('cap', '--version')}; {said('nproc')} processors, which are the hosts', too."
    )


def main(names: list[str]) -> None:
    """Measure the sections called *names*, or all."""
    if unknown := [name for name in names if name not in SECTIONS]:
        sys.exit(f"no such section: {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    for name in names or SECTIONS:
        title, section = SECTIONS[name]
        print(title, flush=True)
        text = section()
        written(name, title, f"`make bench ONLY={name}`: {where()}\n\n{text}")
        print(text, flush=True)
    print(f"written to {DOCUMENT.relative_to(Path.cwd()) if DOCUMENT.is_relative_to(Path.cwd()) else DOCUMENT}")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]).replace(",", " ").split())
