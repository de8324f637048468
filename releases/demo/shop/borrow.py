"""Stands in for `uv sync --frozen` or `pip install`: the demo downloads nothing.

The virtual environment of each release is its own, but gunicorn comes from where the demo itself runs. A real
project installs it into the release, from its lock file; nothing else here would change.
"""

import sys
from pathlib import Path


def main(venv: Path) -> None:
    """Let *venv* find our gunicorn."""
    import gunicorn

    libraries = venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (libraries / "borrowed.pth").write_text(f"{Path(gunicorn.__file__).parent.parent}\n")
    (venv / "bin" / "gunicorn").write_text("from gunicorn.app.wsgiapp import run\n\nrun()\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
