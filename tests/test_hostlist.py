"""Hosts that a command prints: asked for where they are needed, and nothing but hosts is taken."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from releases.config import load
from releases.errors import ConfigError, Refused, UsageError
from releases.hostlist import listed
from releases.local import printed

TOML = """app = "shop"
root = "/srv/shop"
[hosts.web]
ssh = ["web1"]
[hosts.cloud]
from = "list cloud"
keep.releases = 2
[hosts.spare]
from = "list spare"
"""
SAID = {"list cloud": "# up\n\n deploy@web2:2222 \n[2001:db8::1]:22\n", "list spare": "web9\n"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A deploy.toml with one table of hosts, and two that commands fill."""
    (tmp_path / "deploy.toml").write_text(TOML)
    return tmp_path / "deploy.toml"


class Asked(list[str]):
    """Runs nothing, and remembers what it should have run."""

    def __call__(self, place: str, command: str) -> str:
        self.append(command)
        return SAID[command]


def always(said: str) -> Callable[[str, str], str]:
    """A command that prints *said*."""
    return lambda place, command: said


@pytest.mark.parametrize(
    ("host", "without", "names", "commands"),
    [
        ("web", "", ["web1"], []),
        ("web1", "", ["web1"], []),
        ("cloud", "", ["web2:2222", "[2001:db8::1]:22"], ["list cloud"]),
        ("web,cloud", "", ["web1", "web2:2222", "[2001:db8::1]:22"], ["list cloud"]),
        ("web,cloud", "web2:2222", ["web1", "[2001:db8::1]:22"], ["list cloud"]),
        ("web9", "", ["web9"], ["list cloud", "list spare"]),
    ],
)
def test_a_command_runs_where_its_hosts_are_needed_and_nowhere_else(
    path: Path, host: str, without: str, names: list[str], commands: list[str]
) -> None:
    """A word that is written nowhere may be a host of any of them."""
    ask = Asked()
    assert [target.name for target in load(path, host=host, without=without, ask=ask)] == names
    assert ask == commands


def test_its_hosts_have_what_the_table_overrides(path: Path) -> None:
    """As those of any other table."""
    assert [target.config.keep.releases for target in load(path, host="cloud", ask=Asked())] == [2, 2]


def test_without_a_choice_no_command_runs(path: Path) -> None:
    """Which hosts are meant is asked first; the only table need not be named."""
    with pytest.raises(UsageError, match="which hosts"):
        load(path)
    path.write_text('app = "shop"\nroot = "/srv/shop"\n[hosts.spare]\nfrom = "list spare"\n')
    assert [target.name for target in load(path, ask=Asked())] == ["web9"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("", "printed no host"),
        ("\n# none is up\n", "printed no host"),
        ("web1\nERROR: no credentials\n", '"ERROR: no credentials", which is no address'),
        ("web1\n-oProxyCommand=reboot\n", "which is no address"),
        ("web1\nana@WEB1\n", "printed web1 twice"),
    ],
)
def test_what_is_no_list_of_hosts_is_refused_with_its_place(path: Path, said: str, words: str) -> None:
    """Exit 10: a check said no, and nothing was begun."""
    with pytest.raises(Refused, match=words) as caught:
        load(path, host="cloud", ask=always(said))
    assert str(caught.value).startswith("hosts.cloud.from (line 6): `list cloud` printed ")
    assert caught.value.hint
    assert caught.value.exit_code == 10


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('ssh = "web1"\nfrom = "x"', "hosts.cloud.from (line 5): expected either ssh or from, found both"),
        ("from = ''", 'expected a command that prints one address per line, found ""'),
        ("from = ['a']", "found a list"),
        ("", "hosts.cloud.ssh"),
    ],
)
def test_a_table_has_either_hosts_or_a_command(path: Path, table: str, words: str) -> None:
    """Told before anything runs."""
    path.write_text(f'app = "shop"\nroot = "/srv/shop"\n[hosts.cloud]\n{table}\n')
    with pytest.raises(ConfigError) as caught:
        load(path, ask=Asked())
    assert words in caught.value.mistakes[0]


def test_what_a_command_prints_here_is_returned(tmp_path: Path) -> None:
    """It runs in the project, and what it leaves running keeps nobody waiting."""
    (tmp_path / "hosts").write_text("web1\n")
    assert printed("cat hosts; sleep 60 & :", what="x", here=tmp_path, limit_s=30) == "web1\n"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("echo web1; exit 3", "failed: exit 3"),
        ("echo web1; sleep 60", "was not done after 0.5 s"),
        ("cat /dev/zero", "printed more than 1 MiB"),
        ("no-such-command 2>/dev/null", "failed: exit 127"),
    ],
)
def test_a_command_that_fails_is_refused(tmp_path: Path, command: str, words: str) -> None:
    """Whatever it printed before; and nothing of it is left."""
    began = time.monotonic()
    with pytest.raises(Refused, match=words) as caught:
        printed(command, what="hosts.cloud.from", here=tmp_path, limit_s=0.5 if "sleep" in command else 30)
    assert str(caught.value).startswith(f"hosts.cloud.from: `{command}` ")
    assert time.monotonic() - began < 20


def test_of_a_command_of_several_lines_the_first_is_shown(tmp_path: Path) -> None:
    """A message is one line."""
    with pytest.raises(Refused, match="`set -e …` failed: exit 4"):
        printed("set -e\nexit 4", what="x", here=tmp_path, limit_s=30)
    with pytest.raises(Refused) as refused:
        listed("", place="hosts.cloud.from", command="set -e\ntrue\n")
    assert str(refused.value) == "hosts.cloud.from: `set -e …` printed no host"
