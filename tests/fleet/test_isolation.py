"""A release shares no fate with another: what commands do in one, no other sees; for a plain user and for root."""

import pytest

from tests.app import App
from tests.lab import Lab

pytestmark = pytest.mark.fleet

SPITEFUL = [
    "true >truncated",
    "echo more >>appended",
    "chmod 0777 chmodded",
    "touch -d 2001-01-01 touched",
    "rm removed",
    "python3 -c \\\"open('overwritten', 'r+').write('X')\\\"",
    "mkdir -p made && echo made >made/by-prepare",
]


@pytest.fixture(params=["deploy", "root"])
def app(request: pytest.FixtureRequest, lab: Lab, tmp_path: object) -> App:
    """A site on the lab's host, deployed by this account."""
    user, root = request.param, f"/home/deploy/isolated-{request.param}"
    lab.host.run(f"rm -rf {root}; install -d -o {user} {root}")
    found = App(tmp_path / "shop", tmp_path / "unused", lab.host.ssh(user), lab.ssh_config)  # type: ignore[operator]
    found.configure()
    text = (found.folder / "deploy.toml").read_text().replace(str(found.root), root)
    (found.folder / "deploy.toml").write_text(text)
    for name in ("truncated", "appended", "chmodded", "touched", "removed", "overwritten"):
        (found.folder / name).write_text(name)
    return found


def spite(app: App, commands: list[str]) -> None:
    """Let `prepare` do its worst; what it may not do is no reason to fail."""
    listed = ", ".join(f'"{command} || true"' for command in commands)
    with (app.folder / "deploy.toml").open("a") as file:
        file.write(f"[prepare]\ncommands = [{listed}]\n")


def picture(lab: Lab, user: str) -> dict[str, str]:
    """Every file of every release: bytes, mode and time."""
    root = f"/home/deploy/isolated-{user}/releases"
    told = 'for f; do echo "$f $(stat -c %a-%Y "$f") $(sha256sum <"$f")"; done'
    script = f"cd {root} && find . -type f -exec sh -c '{told}' - {{}} +"
    return dict(line.split(" ", 1) for line in lab.host.run(script).stdout.splitlines())


def test_commands_in_one_release_change_no_byte_mode_or_time_of_another(app: App, lab: Lab) -> None:
    """Copies and not links, wherever commands run."""
    user = app.address.partition("@")[0]
    app.deploy("v1")
    app.deploy("v2")
    before = picture(lab, user)
    assert len(before) > 12
    spite(app, SPITEFUL)
    app.write("v3")
    refused = app.run("deploy")
    assert (refused.code, "changed what was shipped" in refused.err) == (11, True), refused.err
    after = picture(lab, user)
    assert {path: after.get(path) for path in before} == before


def test_nothing_that_prepare_made_is_in_the_next_release(app: App, lab: Lab) -> None:
    """A copied virtual environment would run the old one."""
    user = app.address.partition("@")[0]
    spite(app, SPITEFUL[-1:])
    app.deploy("v1")
    (app.folder / "deploy.toml").write_text((app.folder / "deploy.toml").read_text().partition("[prepare]")[0])
    app.deploy("v2")
    made = [path for path in picture(lab, user) if path.endswith("made/by-prepare")]
    assert len(made) == 1


def test_without_commands_unchanged_files_are_links_and_read_only(app: App, lab: Lab) -> None:
    """Which costs nothing, and an application cannot write into them by accident."""
    user = app.address.partition("@")[0]
    app.deploy("v1")
    app.deploy("v2")
    root = f"/home/deploy/isolated-{user}/releases"
    found = lab.host.run(f"stat -c '%h %a' {root}/*/appended").stdout.split()
    assert found == ["2", "444", "2", "444"]
    if user == "deploy":
        assert (
            lab.host.run(f"echo x >>$(ls -d {root}/* | head -1)/appended", user="deploy", check=False).returncode != 0
        )
