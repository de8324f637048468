"""A mistake in the command line, in deploy.toml or in the project is one line and a hint; nothing is changed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from tests.app import REPOSITORY, App, until
from tests.refusal import OUTCOMES, hinted, refused
from tests.sshd import Sshd

pytestmark = pytest.mark.journey
UNKNOWN = "20310504T030201Z-9fceb02c"


def git(app: App, *words: str) -> None:
    """Run git in the project, as somebody."""
    subprocess.run(
        ("git", "-c", "user.name=ana", "-c", "user.email=ana@example.com", *words), cwd=app.folder, check=True
    )


def test_without_deploy_toml_the_hint_writes_one(app: App) -> None:
    """And says where it was looked for."""
    (app.folder / "deploy.toml").unlink()
    refused(app, "deploy", code=2, says=("deploy.toml", str(app.folder)), hint="`switchover init` writes one")


def test_in_a_directory_of_the_project_the_hint_leads_out_of_it(app: App) -> None:
    """Where `inv` finds the tasks.py above, and a build would find nothing."""
    (below := app.folder / "public").mkdir()
    where = f"cd {below} && {sys.executable} -m releases status"
    result = subprocess.run(where, shell=True, env=app.environ, capture_output=True, text=True)
    assert (result.returncode, f"no deploy.toml in {below}\n" in result.stderr) == (2, True)
    assert result.stderr.endswith(f"  hint: there is one in {app.folder}: run it there\n")


def test_wrong_toml_is_told_with_its_line(app: App) -> None:
    """Two lines: a deploy.toml can have many mistakes, and all are told."""
    (app.folder / "deploy.toml").write_text('app = "shop"\nroot = \n')
    result = refused(app, "deploy", code=2, says=("deploy.toml", "1 mistake"))
    assert "line 2, column 8" in result.err


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [
        ("app", 'app = "shop"', 'app = "$(reboot)"'),
        ("root", 'root = "', 'root = "/tmp/a b;'),
        ("hosts.prod.ssh", 'ssh = ["', 'ssh = ["-oProxyCommand=reboot '),
        ("hosts.prod.ssh", 'ssh = ["', 'ssh = ["a;b@'),
        (
            "processes",
            "[strategy]",
            '[processes."a; b"]\nkind = "command"\nreload = "true"\nprove = "true"\n[strategy]',
        ),
    ],
)
def test_a_hostile_name_is_refused_at_its_place(app: App, sshd: Sshd, key: str, old: str, new: str) -> None:
    """Before anything runs anywhere: hosts are called while deploy.toml is checked, and asked for nothing."""
    file = app.folder / "deploy.toml"
    file.write_text(file.read_text().replace(old, new, 1))
    asked = sshd.sessions()
    result = refused(app, "deploy", code=2, says=("deploy.toml", "1 mistake"))
    assert key in result.err
    assert "expected" in result.err
    assert sshd.sessions() == asked


@pytest.mark.parametrize(
    ("words", "says", "hint"),
    [
        (("deploy", "--host", "prdo"), "no such host: 'prdo'", 'did you mean "prod"?'),
        (("deploy", "--without", "web9"), "no such host: 'web9'", "name a table [hosts.NAME]"),
        (("deploy", "--wait", "soon"), "--wait soon: not a time", "10m"),
        (("deploy", "--release", "junk"), "'junk' is not the name of a release", "`inv releases`"),
        (("rollback", "--to", "junk"), "'junk' is not the name of a release", "`inv releases`"),
        (("deploy", "--release", ""), "'' is not the name of a release", "`inv releases`"),
        (("rollback", "--to", ""), "'' is not the name of a release", "`inv releases`"),
        (("verify", "--release", ""), "'' is not the name of a release", "`inv releases`"),
        (("pin", "junk"), "'junk' is not the name of a release", "`inv releases`"),
        (("deploy", "--frobnicate"), "--frobnicate", "switchover deploy --help"),
        (("frobnicate",), "frobnicate", "switchover --list"),
        (("pin",), "release", "switchover pin --help"),
        (("exec", "ls", "-l", "it's"), "exec takes one command, not 3 words", "quote it: switchover exec '"),
        (("exec", "-h", "prod", "--run", "ls", "-l", "--json"), "one command, not 2 words", "exec 'ls -l'"),
    ],
)
def test_a_mistake_of_the_command_line_ends_with_2(app: App, words: tuple[str, ...], says: str, hint: str) -> None:
    """Whoever finds it."""
    refused(app, *words, code=2, says=(says,), hint=hint)


@pytest.mark.parametrize("command", ["exec", "pin", "unpin", "probe", "join"])
def test_a_command_that_needs_a_word_does_not_take_help_for_it(app: App, sshd: Sshd, command: str) -> None:
    """Invoke would run `--help` in the live release."""
    asked = sshd.sessions()
    result = app.run(command, "--help")
    assert (result.code, f" {command} [--options]" in result.out) == (0, True), result.err
    assert re.search(rf"`{command} \S+`", result.out), result.out
    assert result.out == app.run("--help", command).out
    assert sshd.sessions() == asked


def test_the_dry_run_of_invoke_itself_is_refused(app: App) -> None:
    """It would deploy."""
    refused(app, "--dry", "deploy", code=2, says=("--dry",), hint="`inv plan`")
    assert not app.live


def test_who_leaves_out_every_host_is_told_so(app: App) -> None:
    """And which there are."""
    host = app.address.partition("@")[2]
    refused(app, "deploy", "--without", host, code=2, says=("--without leaves no host",), hint=host)


@pytest.mark.parametrize("words", [("deploy", "--release"), ("rollback", "--to")])
def test_a_release_that_is_not_there_is_named(app: App, words: tuple[str, ...]) -> None:
    """With the host that lacks it."""
    refused(app, *words, UNKNOWN, says=("127.0.0.1:", f"no complete release {UNKNOWN}"), hint="`inv releases`")


def test_a_rollback_needs_something_to_go_back_to(app: App) -> None:
    """Before the first deploy, and after it."""
    refused(app, "rollback", says=("127.0.0.1:", "nothing is live"), hint="`inv deploy`")
    app.deploy("v1")
    refused(app, "rollback", says=("127.0.0.1:", "no proven release before"), hint="`inv releases`")


def test_a_project_without_git_is_told_what_else_there_is(app: App) -> None:
    """And one without commits."""
    app.configure(build='source = "git"')
    refused(app, "deploy", says=(str(app.folder), "is not a git repository"), hint='`[build] source = "folder"`')
    git(app, "init", "-q")
    refused(app, "deploy", says=(str(app.folder), "has no commits"), hint="commit something")


def test_a_revision_that_does_not_exist_is_named_with_its_neighbour(app: App) -> None:
    """What begins with a dash is a revision, too, and none of git's options."""
    app.configure(build='source = "git"')
    git(app, "init", "-q", "-b", "main")
    git(app, "add", "-A")
    git(app, "commit", "-qm", "one")
    refused(app, "deploy", "--revision", "mian", says=("no such revision: mian",), hint="did you mean `main`?")
    refused(app, "deploy", "--revision=--all", says=("no such revision: --all",), hint="`git fetch`")


def test_an_empty_build_is_never_shipped(app: App, sshd: Sshd) -> None:
    """Or it would delete the site."""
    asked = sshd.sessions()
    refused(app, "deploy", says=("nothing to ship", str(app.folder)), hint="[build] output")
    app.configure(build='source = "folder"\noutput = "dist"')
    refused(app, "deploy", says=("no such directory: 'dist'",), hint="does the build command make it?")
    (app.folder / "dist").mkdir()
    refused(app, "deploy", says=("nothing to ship", "dist"), hint="[build] output")
    assert sshd.sessions() == asked


@pytest.mark.parametrize("stage", ["build", "test"])
def test_a_build_or_test_that_fails_sends_nothing(app: App, sshd: Sshd, stage: str) -> None:
    """Its output is seen, its last line is the reason."""
    key = {"build": "command", "test": "test"}[stage]
    app.configure(build=f'source = "folder"\n{key} = "echo first; echo the reason >&2; exit 3"')
    app.write("v1")
    asked = sshd.sessions()
    result = refused(app, "deploy", says=(f"{stage}: `echo first", "exit 3: the reason"))
    assert "build: first\n" in result.err
    assert sshd.sessions() == asked


@pytest.mark.parametrize("path", [".env", "conf/an app.ini"])
def test_a_shared_file_that_is_missing_is_told_with_the_scp_that_brings_it(app: App, path: str) -> None:
    """The very command, run as it is printed."""
    app.configure(f'[shared]\nfiles = ["{path}"]\n')
    app.write("v1")
    result = refused(app, "deploy", says=("127.0.0.1:", f"shared/{path} is missing"), hint="upload it: ")
    (app.folder / path).parent.mkdir(exist_ok=True)
    (app.folder / path).write_text("SECRET=1")
    bin = app.home / "bin"
    bin.mkdir()
    for tool in ("ssh", "scp"):  # they look for ~/.ssh where the password database says, not in $HOME
        (bin / tool).write_text(f'#!/bin/sh\nexec {shutil.which(tool)} -F {app.home}/.ssh/config "$@"\n')
        (bin / tool).chmod(0o755)
    environment = {**os.environ, "PATH": f"{bin}:{os.environ['PATH']}"}
    command = hinted(result).removeprefix("upload it: ")
    subprocess.run(command, shell=True, check=True, cwd=app.folder, env=environment)
    app.deploy("v1")
    assert (app.root / "current" / path).read_text() == "SECRET=1"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("deploy", "--wait", "soon"), 2),
        (("deploy", "--release", UNKNOWN), 10),
        (("rollback",), 10),
    ],
)
def test_json_ends_with_an_outcome_for_mistakes_too(app: App, words: tuple[str, ...], code: int) -> None:
    """Whoever reads it needs no exit code."""
    result = app.run(*words, "--json")
    assert (result.code, result.err) == (code, "")
    assert [event["event"] for event in result.events[-2:]] == ["error", "outcome"]
    last = result.events[-1]
    assert (last["outcome"], last["exit"]) == (OUTCOMES[code], code)


@pytest.mark.parametrize(
    ("words", "code", "outcome"),
    [
        (("status",), 0, "done"),
        (("ps",), 0, "done"),
        (("releases",), 0, "done"),
        (("plan",), 0, "done"),
        (("deploy", "--dry-run"), 0, "done"),
        (("prune", "--dry-run"), 0, "done"),
        (("unlock",), 0, "done"),
        (("doctor",), 0, "done"),
        (("exec", "true"), 10, "refused"),
        (("verify",), 10, "refused"),
        (("setup",), 0, "done"),
    ],
)
def test_json_ends_with_one_outcome_whatever_the_command(
    app: App, words: tuple[str, ...], code: int, outcome: str
) -> None:
    """Also where nothing is live, which is no release called None."""
    app.write("v1")
    result = app.run(*words, "--json")
    assert result.code == code, result.out + result.err
    assert [event["outcome"] for event in result.events if event["event"] == "outcome"] == [outcome]
    assert (result.events[-1]["event"], result.events[-1]["exit"]) == ("outcome", code)
    assert '"None"' not in result.out


@pytest.mark.parametrize(
    "foreign", ["from celery_of_ours import Celery\n", "import invoke\n@invoke.task\ndef docs(c):\n    pass\n"]
)
def test_a_tasks_py_of_somebody_else_is_left_alone(app: App, foreign: str) -> None:
    """It is not even run; one line says so."""
    (app.folder / "tasks.py").write_text(foreign)
    result = app.run("status")
    assert (result.code, "switchover: ./tasks.py has none of our commands" in result.err) == (0, True), result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def deploy(c:", "SyntaxError: '(' was never closed"),
        ("import ours", "NameError: name 'nothing' is not defined (.*ours.py, line 2)"),
    ],
)
def test_a_mistake_in_our_own_tasks_py_is_not_hidden(app: App, line: str, says: str) -> None:
    """The shipped commands would do something else; the line says where it is, and what."""
    shutil.copy(REPOSITORY / "tasks.py", tasks := app.folder / "tasks.py")
    (app.folder / "ours.py").write_text("\nnothing\n")
    number = len(tasks.read_text().splitlines()) + 1
    with tasks.open("a") as file:
        file.write(f"{line}\n")
    says, _, rest = says.partition(" (.*")
    refused(app, "status", code=2, says=(f"./tasks.py, line {number}: {says}", rest), hint="`inv --list`")


def test_a_command_that_was_interrupted_does_not_say_that_nothing_was_changed(app: App, sshd: Sshd) -> None:
    """Whoever presses Ctrl-C in `exec` has begun it."""
    app.deploy("v1")
    with app.start("exec", "touch ../../shared/begun; sleep 60", "--json") as process:
        until((app.root / "shared" / "begun").exists)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    *_, error, outcome = (json.loads(line) for line in out.splitlines())
    assert (error["message"], "`inv status`" in error["hint"]) == ("interrupted", True)
    assert (process.returncode, outcome["event"], outcome["exit"]) == (11, "outcome", 11)


def test_hosts_come_from_a_command(app: App) -> None:
    """Of the project, on the controller; when it fails, nothing was begun."""
    file = app.folder / "deploy.toml"
    file.write_text(file.read_text().replace(f'ssh = ["{app.address}"]', "from = 'cat hosts'"))
    hosts = app.folder / "hosts"
    refused(app, "deploy", says=("hosts.prod.from (line 4): `cat hosts` failed: exit 1",), hint="by hand")
    refused(app, "doctor", says=("hosts.prod.from",), hint="by hand")
    hosts.write_text(f"# the only one\n{app.address}\n")
    app.deploy("v1")
    assert app.live == "v1"
