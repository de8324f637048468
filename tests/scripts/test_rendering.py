"""Every script, rendered: what shellcheck and three shells say of it, with values as they come and as they might."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2.meta
import pytest

from releases.plan import Step
from releases.processes.kind import Switch
from releases.processes.kinds import kinds
from releases.scripts import TEMPLATES, environment, quoted, render, rootscript
from tests.conftest import require
from tests.hosts import config
from tests.scripts.running import HOSTILE, SHELLS, A, B, Here

# What is no step: other templates are made of it, and it is checked as a part of them.
PARTS = frozenset(
    {
        "base",
        "facts",
        "health",
        "held",
        "settling",
        "told",
        "untold",
        "verifying",
        "balancers/apart",
        "balancers/haproxy/values",
        "balancers/haproxy/words",
        "balancers/nginx/values",
        "balancers/nginx/words",
        "command/facts",
        "gunicorn/facts",
        "gunicorn/begin",
        "gunicorn/master",
        "gunicorn/said",
        "gunicorn/values",
        "migrations/listing",
        "migrations/values",
        "systemd/asking",
        "systemd/booting",
        "systemd/facts",
        "systemd/loaded",
        "systemd/manage",
        "systemd/values",
    }
)
REMOTE = TEMPLATES / "remote"
ALL = frozenset(str(path.relative_to(REMOTE)).removesuffix(".sh.j2") for path in REMOTE.rglob("*.sh.j2"))
SCRIPTS = sorted(ALL - PARTS)
CONFIG = config(
    processes={
        "web": {"kind": "systemd", "command": "serve", "listen": "127.0.0.1:8000", "health": "/health"},
        "old": {"kind": "gunicorn", "pidfile": "old.pid", "start": "run", "health": "http://127.0.0.1:8001/"},
        "own": {"kind": "command", "reload": "bin/reload", "prove": "bin/prove"},
    }
)
PROCESSES = [dict(kind.values(Switch(CONFIG.root, 7, B, A))) for kind in kinds(CONFIG)]
LISTS: Mapping[str, Any] = {
    "processes": PROCESSES,
    "started": [process for process in PROCESSES if process.get("digest")],
    "process": {key: value for process in PROCESSES for key, value in process.items()},
    "files": ("a.service", "b.socket"),
    **dict.fromkeys(
        ("commands", "dirs", "releases", "expected", "sockets", "services", "instances", "untold"), ("one", "two words")
    ),
}
SETUP: Mapping[str, Any] = {"files": [{"name": "a.service", "text": "[Unit]\n"}]}


def values(name: str, text: str) -> dict[str, Any]:
    """All that a script asks for: lists where it wants them, *text* for every other name."""
    wanted, queue = set[str](), [f"remote/{name}.sh.j2"]
    while queue:
        syntax = environment().parse((TEMPLATES / queue.pop()).read_text())
        wanted |= jinja2.meta.find_undeclared_variables(syntax)
        queue += [found for found in jinja2.meta.find_referenced_templates(syntax) if found]
    known = {**LISTS, **(SETUP if name == "setup" else {})}
    return {"root": "/srv/shop"} | {key: known.get(key, text) for key in wanted - {"event"}}


def hostile(value: Any, text: str) -> Any:
    """The same with *text* in place of every text but the names of templates."""
    if isinstance(value, Mapping):
        return {key: found if key == "facts" else hostile(found, text) for key, found in value.items()}
    if isinstance(value, (list, tuple)):
        return [hostile(item, text) for item in value]
    return text if isinstance(value, str) and value else value


def rendered(name: str, text: str = "20261121T065759Z-9fceb02c") -> str:
    """The script *name* with plausible values."""
    return render(Step(name, values(name, text), ""), event={"event": "step"})


def test_every_template_is_a_step_or_named_as_a_part() -> None:
    """So a new one is checked here without anybody remembering."""
    steps = {name for name in ALL if '{% extends "remote/base.sh.j2" %}' in (REMOTE / f"{name}.sh.j2").read_text()}
    assert steps == ALL - PARTS
    assert PARTS <= ALL


def test_shellcheck_has_nothing_to_say(tmp_path: Path) -> None:
    """POSIX sh, and no warning; where one is right, the template says why."""
    require("" if _has("shellcheck") else "no shellcheck: apt-get install shellcheck")
    for name in SCRIPTS:
        (tmp_path / f"{name.replace('/', '-')}.sh").write_text(f"#!/bin/sh\n{rendered(name)}")
    (tmp_path / "superuser.sh").write_text(rooted("plain"))
    session = list((TEMPLATES / "session").glob("*.sh"))
    checked = subprocess.run(
        ["shellcheck", "-s", "sh", "-S", "warning", "-f", "gcc", *sorted(tmp_path.glob("*.sh")), *session],
        capture_output=True,
        text=True,
    )
    assert (checked.stdout, checked.returncode) == ("", 0)


@pytest.mark.parametrize("shell", SHELLS)
def test_whatever_a_value_is_every_script_parses(shell: str) -> None:
    """Quotes, substitutions, newlines, backslashes, a leading dash, letters beyond ASCII."""
    require(Here.missing(shell))
    command = [*{"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}[shell], "-n"]
    for text in HOSTILE:
        scripts = {n: render(Step(n, hostile(values(n, text), text), "")) for n in SCRIPTS} | {"root": rooted(text)}
        for name, script in scripts.items():
            parsed = subprocess.run(command, input=script.encode(), capture_output=True)
            assert (parsed.returncode, parsed.stderr) == (0, b""), (name, text)


def test_whatever_a_value_is_it_stays_one_word(here: Here) -> None:
    """Under every shell, byte for byte."""
    found = here.start(here.sh, "-c", f"printf '%s\\0' {quoted(HOSTILE)} {quoted('')} {quoted(True)}", cwd=here.base)
    words = found.communicate()[0].decode().split("\0")
    assert words == [*HOSTILE, "", "1", ""]
    assert not list(here.base.rglob("pwned"))


def test_a_truncated_script_runs_nothing(here: Here) -> None:
    """All of it is one function that is called in the last line."""
    here.release(A)
    whole = render(here.step("publish", release=f"releases/{A}", nonce="x", back=False))
    for size in range(0, len(whole) - len("main </dev/null\n"), 97):
        here.run(whole[:size])
        assert here.live == ""


def rooted(text: str) -> str:
    """The script for root."""
    return rootscript(
        app="shop", owner=text, private="/srv/shop/.switchover", files=[{"name": "a", "text": text}],
        names=["shop-web"], sockets=["shop-web.socket"], services=["shop-web.service"],
    )  # fmt: skip


def _has(tool: str) -> bool:
    return subprocess.run(["sh", "-c", 'command -v "$1"', "sh", tool], capture_output=True).returncode == 0
