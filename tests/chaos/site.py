"""What the walk deploys: a small site with a process on each host, and with something for every sort of step."""

from pathlib import Path

from tests.everything import tables

# A release is whole when three files say the same: the first and the last that are sent, and the one that is prepared.
TABLES = tables(schema="../../../run/schema", prove="sh prove", run_on="each")
# The process is known by the odd fraction of a second for which it sleeps, so that no file has to name it: a reload
# that was cut short leaves nothing that the next one does not find.
RUNNING = """\
n=$(cat ../../../run/number)
running() { grep -la "72h.*0[.]$n" /proc/[0-9]*/cmdline 2>/dev/null | cut -d / -f 3; }
"""
RELOAD = f"""\
{RUNNING}
for pid in $(running); do kill -9 "$pid"; done
until [ -z "$(running)" ]; do sleep 0.01; done
setsid sleep 72h "0.$n" >/dev/null 2>&1 &
tries=0
until [ -n "$(running)" ] || [ "$tries" = 100 ]; do
  tries=$((tries + 1))
  sleep 0.01
done
"""
PROVE = f"""\
{RUNNING}
for pid in $(running); do readlink "/proc/$pid/cwd"; done
"""


def write(folder: Path, version: str) -> None:
    """Make *folder* a build of *version*; what is sent is a little more each time, so that a line can fall within."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("version", "last"):
        (folder / name).write_text(f"{version}\n")
    (folder / "reload").write_text(RELOAD)
    (folder / "prove").write_text(PROVE)
    (folder / "ballast").write_bytes(version.encode() * 20_000)
