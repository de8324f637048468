"""Runs a command, and ends every process that comes of it, daemons too, as soon as stdin closes.

stdin also closes when the demo is killed: nothing stays behind, whatever happens.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

PR_SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> None:
    """Run *command* to the end of stdin; a daemon stays a descendant, since we adopt orphans."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    while True:
        try:
            os.wait()  # the orphans', too: a master that stays a zombie would look alive
        except ChildProcessError:
            os._exit(0)


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    while True:
        for pid in _descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        time.sleep(0.01)


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as stat:
                parent = int(stat.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]


if __name__ == "__main__":
    main(sys.argv[1:])
