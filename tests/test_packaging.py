"""What is installed is all that is needed: the wheel carries templates and tasks.py; listing commands is quick."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.app import REPOSITORY, App
from tests.sshd import Sshd

HEAVY = ("fabric", "paramiko", "jinja2", "pydantic", "rich")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin directory of a clean environment that has nothing but the wheel and what it depends on."""
    made = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(made), str(REPOSITORY)]
    subprocess.run(build, check=True, capture_output=True)
    venv.create(made / "env", with_pip=True)
    (wheel,) = made.glob("*.whl")
    subprocess.run([made / "env/bin/pip", "install", "-q", wheel], check=True, capture_output=True)
    return made / "env" / "bin"


def modules(command: list[str], folder: Path) -> set[str]:
    """Which heavy modules a command has imported at its end."""
    seen = f"[m for m in {HEAVY!r} if m in sys.modules]"
    told = f"import atexit, sys, json; atexit.register(lambda: print(json.dumps({seen})))"
    (folder / "sitecustomize.py").write_text(told)
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{REPOSITORY}"}
    result = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    return set(json.loads(result.stdout.splitlines()[-1]))


@pytest.mark.parametrize("words", [["--list"], ["--help"], ["deploy", "--help"]])
@pytest.mark.parametrize("program", ["invoke", "releases"])
def test_naming_the_commands_imports_nothing_heavy(program: str, words: list[str], tmp_path: Path) -> None:
    """``inv --list`` is what a shell completes from."""
    assert modules([sys.executable, "-m", program, *words], tmp_path) == set()


@pytest.mark.journey
def test_the_wheel_deploys_in_a_clean_environment(installed: Path, sshd: Sshd, tmp_path: Path) -> None:
    """From ``switchover init`` on, and with the copied tasks.py as well."""
    app = App(tmp_path / "shop", tmp_path / "srv" / "shop", sshd.address, sshd.ssh_config)
    app.write("v1")
    environment = {**os.environ, "HOME": str(app.home)}
    assert "PYTHONPATH" not in environment
    for words in (["switchover", "init"], ["switchover", "deploy"], ["inv", "rollback"]):
        result = subprocess.run(
            [installed / words[0], *words[1:]], cwd=app.folder, env=environment, capture_output=True, text=True
        )
        assert result.returncode == (10 if "rollback" in words else 0), result.stderr
    assert (app.live, (app.folder / "tasks.py").read_text()) == ("v1", (REPOSITORY / "tasks.py").read_text())


@pytest.mark.journey
@pytest.mark.parametrize(
    ("edit", "first", "second"),
    [
        ('plan = plan.before("publish", command("echo warm >>$NEW_RELEASE/../../shared/told"))', "echo", "publish"),
        ('plan = plan.after("publish", command("echo cdn >>$NEW_RELEASE/../../shared/told"))', "publish", "echo"),
        ('plan = plan.without("settled").without("prove")', "publish", "confirm"),
    ],
)
def test_a_team_edits_the_plan_in_one_line_of_its_tasks_py(app: App, edit: str, first: str, second: str) -> None:
    """The dry run shows it, it is journaled, and it is carried in its place."""
    text = (REPOSITORY / "tasks.py").read_text()
    carried = "        hosts.carry(plan, dry_run=dry_run)\n"
    assert carried in text
    (app.folder / "tasks.py").write_text(text.replace(carried, f"        {edit}\n{carried}", 1))
    app.write("v1")
    shown = [line.split()[0] for line in app.run("deploy", "--dry-run").out.splitlines() if line.startswith("  ")]
    assert shown.index(second) - shown.index(first) == 1
    assert app.run("deploy").code == 0
    told = app.root / "shared" / "told"
    assert ("echo" in (first, second)) is told.exists()
    assert not told.exists() or [e["step"] for e in app.journal if e.get("step") == "echo"] == ["echo", "echo"]
    assert app.run("deploy").code == 0, "what is live already has no step to put it before"


@pytest.mark.journey
def test_a_step_of_the_team_is_taken_back_with_the_rest(app: App) -> None:
    """By its own undo, when what comes after it fails."""
    text = (REPOSITORY / "tasks.py").read_text()
    carried = "        hosts.carry(plan, dry_run=dry_run)\n"
    told = "$NEW_RELEASE/../../shared/told"
    edit = (
        f'plan = plan.before("publish", command("echo warm >>{told}", undo="echo cool >>{told}"))\n'
        '        plan = plan.after("publish", command("exit 3"))'
    )
    (app.folder / "tasks.py").write_text(text.replace(carried, f"        {edit}\n{carried}", 1))
    app.write("v1")
    assert app.run("deploy").code == 12
    assert (app.root / "shared" / "told").read_text() == "warm\ncool\n"
    assert app.live == ""
