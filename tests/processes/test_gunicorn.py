"""gunicorn: what a HUP can and cannot do, judged from what the host says."""

import shlex
from pathlib import PurePosixPath

import pytest

from releases.facts import Facts
from releases.processes.gunicorn import rehearsed, unsafe
from releases.processes.kind import Kind, Switch
from tests.hosts import A, B, config, host

ROOT = PurePosixPath("/srv/shop")
PYSCRIPT = (
    "/srv/shop/current/.venv/bin/python /srv/shop/current/.venv/bin/gunicorn"
    " --chdir /srv/shop/current -w 4 -b 127.0.0.1:8001 -p /srv/shop/gunicorn.pid -D shop.wsgi"
)
SETTINGS = config(
    processes={
        "web": {"kind": "gunicorn", "pidfile": "gunicorn.pid", "start": PYSCRIPT, "health": "http://127.0.0.1:8001/h"}
    }
)


def found(*running: str, **answers: object) -> tuple[Kind, Facts]:
    told = {f"web.{key}": value for key, value in {"master": "10", "mark": "500", **answers}.items()}
    surveyed = host(B, complete=[A, B], settings=SETTINGS, process=running, **told)  # type: ignore[arg-type]
    return surveyed.kinds[0], surveyed.facts


def worker(pid: int, *uses: object, home: object = B) -> str:
    return f"{pid} 10 3 - gunicorn {','.join(map(str, uses or (home,)))} {home}"


@pytest.mark.parametrize(
    ("words", "arguments", "why"),
    [
        (PYSCRIPT, "", ""),
        (PYSCRIPT.replace("/srv/shop/current/.venv/bin/gunicorn", "-m gunicorn"), "", ""),
        (PYSCRIPT.replace("--chdir /srv/shop/current ", ""), "--chdir /srv/shop/current", ""),
        (PYSCRIPT.replace("current/.venv/bin/python", f"releases/{A}/.venv/bin/python", 1), "", "first line"),
        (PYSCRIPT.replace("--chdir /srv/shop/current ", ""), "", "no `--chdir"),
        (PYSCRIPT.replace("--chdir /srv/shop/current", f"--chdir /srv/shop/releases/{A}"), "", "no `--chdir"),
        (PYSCRIPT.replace("-p /srv/shop/gunicorn.pid", "-p gunicorn.pid"), "", "is relative"),
        (PYSCRIPT + " --preload", "", "--preload"),
        ("'gunicorn: master [wsgi:app]'", "", "setproctitle hides how it was started"),
        (PYSCRIPT, "--preload", "--preload"),
    ],
)  # fmt: skip
def test_a_start_that_would_keep_old_code_or_die_is_refused(words: str, arguments: str, why: str) -> None:
    """Facts measured: each loses code or the service at a reload."""
    said = list(unsafe(shlex.split(words), arguments, ROOT))
    assert bool(said) is bool(why)
    assert not why or why in said[0]


def test_a_rehearsal_is_the_running_command_line_on_a_private_socket() -> None:
    """Same options, another address, one worker, the new directory, and in the foreground."""
    new = f"/srv/shop/releases/{B}"
    assert rehearsed(shlex.split(PYSCRIPT), ROOT, B) == (
        f'{new}/.venv/bin/python {new}/.venv/bin/gunicorn --bind "unix:$SOCKET" --workers 1 --chdir {new} shop.wsgi'
    )
    assert rehearsed(["/srv/shop/current/.venv/bin/python", "-m", "gunicorn", "app"], ROOT, B) == (
        f'{new}/.venv/bin/python -m gunicorn --bind "unix:$SOCKET" --workers 1 --chdir {new} app'
    )


def test_a_master_whose_workers_are_all_young_and_of_the_release_is_proven() -> None:
    """Two workers, both after the reload."""
    kind, facts = found(worker(11), worker(12), worker(10, A, home="-"), worker=("11 501", "12 502"))
    assert kind.proof(B, facts)


@pytest.mark.parametrize(
    ("running", "answers", "why"),
    [
        ((worker(11),), {"worker": ("11 499",)}, "older than the reload"),
        ((worker(11, home=A),), {"worker": ("11 501",)}, "not in"),
        ((worker(11, A, B),), {"worker": ("11 501",)}, "uses"),
        ((), {"worker": ()}, "no worker yet"),
        ((), {"master": "0"}, "not running"),
        ((), {"master": "0", "stranger": "gunicorn.pid names pid 1, which is init"}, "names pid 1"),
    ],
)
def test_what_is_not_seen_running_the_release_is_not_proven(running: tuple[str, ...], answers: dict, why: str) -> None:  # type: ignore[type-arg]
    """P3."""
    kind, facts = found(*running, **answers)
    assert why in kind.proof(B, facts).why


def test_a_library_that_the_master_holds_says_nothing_of_a_worker() -> None:
    """It is inherited at the fork."""
    kind, facts = found(worker(10, A, home="-"), worker(11, A, B), worker=("11 501",))
    assert kind.proof(B, facts)


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"master": "0", "stranger": "/srv/shop/gunicorn.pid holds no pid"}, "holds no pid"),
        ({"word": tuple(shlex.split(PYSCRIPT)), "owner": "33"}, "runs as user 33"),
        ({"word": ("/srv/shop/current/.venv/bin/python", "-m", "gunicorn", "app"), "owner": "1000"}, "no `--chdir"),
    ],
)
def test_a_set_up_that_cannot_be_proven_is_refused_before_the_deploy(answers: dict, why: str) -> None:  # type: ignore[type-arg]
    """What cannot be read is refused, not guessed."""
    kind, facts = found(**answers)
    assert why in " ".join(kind.conditions(facts))


def test_taking_back_reloads_what_was_live_and_a_first_start_is_stopped() -> None:
    """After the link is back."""
    kind, _ = found()
    back, first = (kind.after(Switch(ROOT, 2, B, previous))[0].undo for previous in (A, None))
    assert back
    assert first
    assert (back.template, first.template) == ("gunicorn/reload", "gunicorn/stop")
