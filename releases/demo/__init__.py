"""The demo: the whole tool on this machine, without root, over real SSH, with a real gunicorn and real load."""

from importlib.util import find_spec
from typing import IO


def main(out: IO[str], *, keep: bool = False) -> int:
    """Tell the story on *out*; 0 when every expectation held, 1 when one did not, 2 when something is missing.

    *keep*: leave the directory with the project and the host behind, as a failure does.
    """
    if missing := [name for name in ("asyncssh", "gunicorn") if not find_spec(name)]:
        print(f'the demo needs {" and ".join(missing)}: pip install "switchover[demo]"', file=out)
        return 2
    from .story import tell

    return tell(out, keep=keep)
