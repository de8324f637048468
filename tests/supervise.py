"""Run a command and end every process that comes of it, daemons too, as soon as stdin closes.

A subreaper, so what a session daemonised stays a descendant; and stdin also closes when the tests are killed.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

PR_SET_CHILD_SUBREAPER = 36


def descendants(root: int) -> list[int]:
    """The pids of all processes below *root*, nearest first."""
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


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    while True:
        for pid in descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        time.sleep(0.005)


def main(command: list[str]) -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    while True:
        try:
            os.wait()  # reaps strangers' orphans as well as *running*
        except ChildProcessError:
            running.returncode = 0
            os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
