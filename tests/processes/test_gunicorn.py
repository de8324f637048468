"""gunicorn: what a HUP can and cannot do, judged from what the host says."""

import shlex
import tomllib
from pathlib import PurePosixPath

import pytest

from releases.answer import Answer
from releases.facts import Facts
from releases.processes.gunicorn_start import rehearsed, unsafe
from releases.processes.kind import Kind, Switch
from releases.switching import switch_over
from tests.forks import REPOSITORY
from tests.hosts import A, B, config, host

ROOT = PurePosixPath("/srv/shop")
SWITCH = Switch(ROOT, 2, B, A)
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
        (PYSCRIPT.replace("-p /srv/shop/gunicorn.pid", "-pgunicorn.pid"), "", "is relative"),
        (PYSCRIPT.replace("-p /srv/shop/gunicorn.pid -D", "-Dpgunicorn.pid"), "", "is relative"),
        (PYSCRIPT + " --preload", "", "--preload"),
        ("'gunicorn: master [wsgi:app]'", "", "setproctitle hides how it was started"),
        (PYSCRIPT, "--preload", "--preload"),
    ],
)  # fmt: skip
def test_a_start_that_would_keep_old_code_or_die_is_refused(words: str, arguments: str, why: str) -> None:
    """Facts measured: each loses code or the service at a reload."""
    said = list(unsafe(shlex.split(words), arguments, (ROOT,)))
    assert bool(said) is bool(why)
    assert not why or why in said[0]


SCRIPT = f"/srv/shop/releases/{A}/.venv/bin/python {PYSCRIPT.partition(' ')[2]}"


def starting(start: str, **answers: object) -> tuple[Kind, Facts]:
    """A host with this `start`, and a master as *answers* tell."""
    web = {"kind": "gunicorn", "pidfile": "gunicorn.pid", "start": start, "health": "http://127.0.0.1:8001/h"}
    told = {f"web.{key}": value for key, value in answers.items()}
    asked = host(B, complete=[A, B], settings=config(processes={"web": web}), **told)  # type: ignore[arg-type]
    return asked.kinds[0], asked.facts


GOOD = 'exec current/.venv/bin/python current/.venv/bin/gunicorn --chdir "$PWD/current" --daemon shop.wsgi'


@pytest.mark.parametrize(
    ("start", "why"),
    [
        (GOOD, ""),
        (GOOD.replace("--daemon ", "") + " &", ""),
        (GOOD.replace("--daemon ", "") + " >/dev/null 2>&1 &", ""),
        (GOOD.replace("--daemon", "-c /etc/shop.py"), ""),
        (GOOD.replace("--daemon", "-Dw4"), ""),
        ("GUNICORN_CMD_ARGS='--daemon --workers 2' " + GOOD.replace("--daemon", "").removeprefix("exec "), ""),
        ("systemd-run --user " + GOOD.replace("--daemon", "").removeprefix("exec "), ""),
        (GOOD.replace("current/.venv/bin/gunicorn", "-m gunicorn"), ""),
        (GOOD.replace("current/.venv/bin/python current/.venv", "/srv/venv"), ""),
        (GOOD.replace("current/.venv/bin/python ", ""), "first line"),
        (GOOD.replace("current/.venv/bin/python ", "env LANG=C /srv/shop/"), "first line"),
        (GOOD.replace("current/.venv/bin/python ", "nohup $PWD/"), "first line"),
        (GOOD.replace("exec current/.venv/bin/python current/", "cd current && exec "), "first line"),
        ('. current/.venv/bin/activate; exec gunicorn --chdir "$PWD/current" -D shop.wsgi', "first line"),
        (GOOD.replace("current/.venv/bin/python", f"releases/{A}/.venv/bin/python"), "first line"),
        (GOOD.replace('--chdir "$PWD/current" ', ""), "no `--chdir"),
        ("GUNICORN_CMD_ARGS=--preload " + GOOD.removeprefix("exec "), "--preload"),
        (GOOD.replace("--daemon ", ""), "add `--daemon`"),
        (GOOD.replace("--daemon ", "") + " && echo started", "add `--daemon`"),
        (GOOD.replace("--daemon ", "") + " >/dev/null 2>&1", "add `--daemon`"),
    ],
)
@pytest.mark.parametrize("master", ["0", "10"])
def test_the_text_of_a_start_is_judged_before_it_ever_runs(start: str, why: str, master: str) -> None:
    """Whether the running master was started well or none runs: the next one will be started by it."""
    kind, facts = starting(start, master=master, owner="1000", word=tuple(shlex.split(PYSCRIPT)) * (master != "0"))
    said = list(kind.conditions(facts))
    assert bool(said) is bool(why), said
    assert not why or (why in said[0] and "`start`" in said[0])


def test_the_start_that_is_there_to_be_copied_is_a_good_one() -> None:
    """In docs/config.md and in the Flask example; pidfile and `--pid` are one file, and its words are kept."""
    page = (REPOSITORY / "docs" / "config.md").read_text().partition("### gunicorn with a pidfile")[2]
    copied = tomllib.loads(page.partition("```toml\n")[2].partition("```")[0])
    flask = tomllib.loads((REPOSITORY / "examples" / "flask" / "deploy.toml").read_text())
    for table in (copied["processes"]["web"], flask["processes"]["web"]):
        asked = host(B, settings=config(processes={"web": table}), **{"web.master": "0"})
        assert list(asked.kinds[0].conditions(asked.facts)) == []
        assert f'--pid "$PWD/{table["pidfile"]}"' in table["start"]
        assert asked.kinds[0].values()["log"] == "/srv/shop/shared/gunicorn.log"


def test_a_start_that_shows_no_gunicorn_is_judged_by_what_runs() -> None:
    """While it is down nobody can say what it would start."""
    kind, facts = starting("bin/start-web", master="0")
    assert "does not show" in " ".join(kind.conditions(facts))
    kind, facts = starting("bin/start-web", master="10", owner="1000", word=tuple(shlex.split(PYSCRIPT)))
    assert list(kind.conditions(facts)) == []


def test_a_master_that_was_started_in_an_unsafe_way_is_replaced_once_its_start_is_mended() -> None:
    """Nobody has to stop it by hand: the plan restarts it, there and back, as deploy.toml says now."""
    kind, facts = starting(PYSCRIPT, master="10", owner="1000", word=tuple(shlex.split(SCRIPT)))
    assert list(kind.conditions(facts)) == []
    (step,) = kind.after(SWITCH, facts)
    assert step.undo
    assert (step.values["replace"], step.undo.values["replace"]) == (True, True)
    assert step.says.startswith("restart: ")
    assert "first line" in step.says
    (rehearsed,) = kind.rehearse(SWITCH, facts)
    assert f"/srv/shop/releases/{B}/.venv/bin/python" in str(rehearsed.values["command"])
    assert rehearsed.values["process"]["inherits"] == ""  # type: ignore[index]


def test_a_start_that_has_changed_since_makes_a_restart_of_a_reload() -> None:
    """Or what deploy.toml says of workers and addresses would never come true; who started by hand is reloaded."""
    words = tuple(shlex.split(PYSCRIPT))
    mark = str(starting(PYSCRIPT)[0].values()["digest"])
    for told, says in (("another", "restart: `start` has changed"), (mark, "HUP"), ("", "HUP")):
        kind, facts = starting(PYSCRIPT, master="10", owner="1000", word=words, started=told)
        (step,) = kind.after(SWITCH, facts)
        assert says in step.says
        assert bool(step.values["replace"]) is (says != "HUP")


def test_a_master_that_its_own_start_made_unsafe_is_refused_with_the_way_out() -> None:
    """A restart would make the same again."""
    mark = str(starting(PYSCRIPT)[0].values()["digest"])
    running = {"master": "10", "owner": "1000", "word": tuple(shlex.split(SCRIPT)), "started": mark}
    kind, facts = starting(PYSCRIPT, **running)
    said = " ".join(kind.conditions(facts))
    assert "kill -TERM 10" in said
    assert "`inv deploy` starts it as deploy.toml says" in said
    hidden = {**running, "word": ("gunicorn: master [wsgi:app]",), "started": ""}
    kind, facts = starting(PYSCRIPT, **hidden)
    assert "kill -TERM 10" in " ".join(kind.conditions(facts))


def test_a_master_of_another_application_is_never_ended() -> None:
    """A pidfile from before a reboot may name it; nothing of it has to do with our root."""
    words = tuple(shlex.split(PYSCRIPT.replace("/srv/shop", "/srv/blog")))
    kind, facts = starting(PYSCRIPT, master="10", owner="1000", word=words, started="theirs")
    assert "no `--chdir" in " ".join(kind.conditions(facts))
    assert kind.after(SWITCH, facts)[0].says.startswith("HUP")


def test_a_unit_that_starts_it_in_an_unsafe_way_is_refused_with_the_way_out() -> None:
    """What systemd would start cannot be read from what runs."""
    for scope, command in (("user", "systemctl --user restart"), ("system", "sudo systemctl restart")):
        web = {"kind": "gunicorn", "unit": "web.service", "scope": scope}
        told = {"web.master": "10", "web.owner": "1000", "web.word": shlex.split(SCRIPT)}
        asked = host(B, settings=config(processes={"web": web}), **told)  # type: ignore[arg-type]
        assert f"`{command} web.service`" in " ".join(asked.kinds[0].conditions(asked.facts))


def test_a_rehearsal_is_the_running_command_line_on_a_private_socket() -> None:
    """Same options, another address, one worker, the new directory, and in the foreground."""
    new = f"/srv/shop/releases/{B}"
    assert rehearsed(shlex.split(PYSCRIPT), (ROOT,), B) == (
        f'{new}/.venv/bin/python {new}/.venv/bin/gunicorn --bind "unix:$SOCKET" --workers 1 --chdir {new} shop.wsgi'
    )
    assert rehearsed(["/srv/shop/current/.venv/bin/python", "-m", "gunicorn", "app"], (ROOT,), B) == (
        f'{new}/.venv/bin/python -m gunicorn --bind "unix:$SOCKET" --workers 1 --chdir {new} app'
    )


def test_a_rehearsal_binds_no_address_of_the_running_one_however_it_is_written() -> None:
    """Short options may have their value attached."""
    new = f"/srv/shop/releases/{B}"
    words = shlex.split("current/bin/python current/bin/gunicorn -b127.0.0.1:8001 -Dw4 -p/srv/shop/g.pid -kgevent app")
    assert rehearsed(words, (ROOT,), B) == (
        f'{new}/bin/python {new}/bin/gunicorn --bind "unix:$SOCKET" --workers 1 --chdir {new} -kgevent app'
    )


def test_a_root_behind_a_link_hides_no_unsafe_start() -> None:
    """A virtual environment names the directory as the file system has it."""
    real = PYSCRIPT.replace("/srv/shop", "/data/shop")
    kind, facts = found(word=tuple(shlex.split(real)), owner="1000", root="/data/shop")
    assert list(kind.conditions(facts)) == []
    (step,) = kind.rehearse(SWITCH, facts)
    assert f" /srv/shop/releases/{B}/.venv/bin/python /srv/shop/releases/{B}/.venv" in str(step.values["command"])
    script = real.replace("current/.venv/bin/python", f"releases/{A}/.venv/bin/python", 1)
    kind, facts = found(word=tuple(shlex.split(script)), owner="1000", root="/data/shop")
    assert "first line" in kind.after(SWITCH, facts)[0].says


def test_the_configuration_is_asked_wherever_it_is_rehearsed_or_not() -> None:
    """P3: only gunicorn itself merges its file, its variable and its options."""
    for health, booted in (("http://127.0.0.1:8001/h", True), (None, False)):
        web = {"kind": "gunicorn", "pidfile": "gunicorn.pid", "start": PYSCRIPT, "health": health}
        asked = host(B, complete=[A, B], settings=config(processes={"web": web}))
        (step,) = asked.kinds[0].rehearse(SWITCH, asked.facts)
        assert str(step.values["process"]["printing"]).endswith("shop.wsgi --print-config")  # type: ignore[index]
        assert bool(step.values["command"]) is booted


def test_a_unit_that_is_down_is_not_rehearsed() -> None:
    """Nobody knows how it is started."""
    web = {"kind": "gunicorn", "unit": "web.service", "health": "http://127.0.0.1:8001/h"}
    asked = host(B, complete=[A, B], settings=config(processes={"web": web}), **{"web.master": "0"})
    assert asked.kinds[0].rehearse(SWITCH, asked.facts) == ()


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
    ],
)
def test_a_set_up_that_cannot_be_proven_is_refused_before_the_deploy(answers: dict, why: str) -> None:  # type: ignore[type-arg]
    """What cannot be read is refused, not guessed."""
    kind, facts = found(**answers)
    assert why in " ".join(kind.conditions(facts))


def test_taking_back_reloads_what_was_live_and_a_first_start_is_stopped() -> None:
    """After the link is back."""
    kind, facts = found()
    back, first = (kind.after(Switch(ROOT, 2, B, previous), facts)[0].undo for previous in (A, None))
    assert back
    assert first
    assert (back.template, first.template) == ("gunicorn/reload", "gunicorn/stop")


def test_a_proof_waits_for_the_longest_request_and_a_pause_does_not() -> None:
    """P4: one that is still answered by an old worker takes no deploy back."""
    web = {"kind": "gunicorn", "unit": "web.service", "drain_s": 100, "start_s": 20}
    steps = switch_over(host(A, settings=config(processes={"web": web})), SWITCH)
    patience = {step.name: step.patience_s for step in steps}
    assert (patience["prove"], patience["settled"]) == (120, 20)


def test_a_reload_may_take_as_long_as_its_drain_and_its_start() -> None:
    """Forth and back; or the new one would be cut off between the end of the old one and its start."""
    web = {"kind": "gunicorn", "unit": "web.service", "drain_s": 100, "start_s": 20}
    asked = host(A, settings=config(processes={"web": web}))
    step = asked.kinds[0].after(SWITCH, asked.facts)[0]
    assert step.undo
    assert (step.timeout_s, step.undo.timeout_s) == (150, 150)


@pytest.mark.parametrize(
    ("since", "final"),
    [("30", False), ("31", True), ("60", True), ("61", False)],
)
def test_what_does_not_answer_is_not_given_the_patience_for_old_workers(since: str, final: bool) -> None:
    """Though one of them drains; from 60 s on nobody asks again, and what was live for long may blink."""
    kind, facts = found(worker(11), worker(12), worker=("11 499", "12 501"), health="500", since=since)
    verdict = kind.proof(B, facts)
    assert (bool(verdict), verdict.final) == (False, final)
    kind, facts = found(worker(11), worker(12), worker=("11 499", "12 501"), health="200", since=since)
    assert not kind.proof(B, facts).final


def test_workers_that_are_recycled_during_the_pause_are_no_others() -> None:
    """``--max-requests``: only the master is compared."""
    kind, _ = found()
    then = Answer((("web.master", "10"), ("web.worker", "11 501"), ("web.worker", "12 501")))
    now = Answer((("web.master", "10"), ("web.worker", "11 501"), ("web.worker", "13 502")))
    recycles = Answer((*now.pairs, ("web.recycles", "1")))
    restarted = Answer((("web.master", "20"), ("web.recycles", "1")))
    assert [kind.same(B, then, found) for found in (now, recycles, restarted)] == [False, True, False]


def test_a_unit_of_the_system_needs_a_rule_to_be_restarted() -> None:
    """The HUP does not: the master is ours."""
    web = {"kind": "gunicorn", "unit": "legacy.service", "scope": "system"}
    asked = host(B, settings=config(processes={"web": web}), **{"web.forbidden": "/usr/bin/systemctl"})
    (why,) = asked.kinds[0].conditions(asked.facts)
    rule = "/usr/bin/systemctl restart legacy.service, /usr/bin/systemctl stop legacy.service"
    assert f"deploy ALL=(root) NOPASSWD: {rule}" in why
