"""No name that could do harm, and no secret in a message."""

import re
from pathlib import PurePosixPath

import pytest

from releases.config import load
from releases.errors import UsageError
from tests.config.files import WEB, mistake, mistakes, only, quoted

HOSTILE = (
    'it\'s $(a) "b"',
    "a b",
    "a\nb",
    "a;b",
    "-x",
    "--help",
    "",
    " ",
    "ä",
    "a\x7f",
    "..",
    "`a`",
    "shop\n",
    "a" * 300,
)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_apps_are_refused(written, name):
    assert mistake(written(top=f'app = {quoted(name)}\nroot = "/srv/shop"\n')).startswith("app (line 1)")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_processes_are_refused(written, name):
    assert mistake(written(f'[processes.{quoted(name)}]\nkind = "systemd"\ncommand = "x"\n')).startswith("processes.")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_users_are_refused(written, name):
    if name:
        line = mistake(written(f'{WEB}scope = "system"\nuser = {quoted(name)}\n'))
        assert line.startswith("processes.web.user")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_host_tables_are_refused(written, name):
    assert mistake(written(hosts=f'[hosts.{quoted(name)}]\nssh = "web1"\n')).startswith("hosts.")


@pytest.mark.parametrize(
    "address",
    [
        *(name for name in HOSTILE if name),
        "-oProxyCommand=x", "web1:0", "web1:65536", "web1:", "@web1", "-l@web1", "a b@web1", "::1", "[::g]",
        "[::1",         "[fe80::1%eth0]", "web1:22:22", "a@b@c", "web1/x", "$(x)@web1", "deploy:secret@web1",
    ],
)  # fmt: skip
def test_hostile_addresses_are_refused(written, address):
    line = mistake(written(hosts=f"[hosts.prod]\nssh = [{quoted(address)}]\n"))
    assert line.startswith("hosts.prod.ssh (line 4): expected")
    assert "secret" not in line


@pytest.mark.parametrize(
    "root",
    [
        *HOSTILE, "/srv", "/", "srv/shop", "/srv/shop/", "/srv//shop", "/srv/../etc", "/srv/./shop",
        "/srv/sh op", "/srv/shop\n", "//srv/shop", "/srv/$HOME", "~/shop", "/etc/shop", "/usr/share/shop",
        "/proc/1", "/sys/x",
        "/bin/x", "/boot/x", "/dev/shm",
    ],
)  # fmt: skip
def test_hostile_roots_are_refused(written, root):
    assert mistake(written(top=f'app = "shop"\nroot = {quoted(root)}\n')).startswith("root (line 2)")


@pytest.mark.parametrize("root", ["/srv/shop", "/home/deploy/shop.example.com", "/srv/..shop", "/opt/usr/etc"])
def test_plain_roots_are_taken(written, root):
    assert only(written(top=f'app = "shop"\nroot = "{root}"\n')).root == PurePosixPath(root)


def test_secrets_in_a_file_do_not_reach_the_message(written):
    lines = "\n".join(
        mistakes(
            written("""
token = "sentinel-1"
[health]
url = "https://deploy:sentinel-2@shop.example.com/"
[build.env]
KEY = "sentinel-3"
[processes.web]
kind = "command"
reload = "curl -u sentinel-4"
""")
        )
    )
    assert "sentinel" not in lines


def test_a_long_value_is_cut_and_controls_are_escaped(written):
    line = mistake(written(f'[build]\nsource = "{"x" * 500}"\n'))
    assert max(len(part) for part in re.findall(r'"(x+…?)"', line)) == 60
    line = mistake(written('[build]\nsource = "\\u001b[31m\\n"\n'))
    assert "\x1b" not in line
    assert "\\x1b" in line


def test_a_syntax_error_says_line_and_column(written):
    assert mistake(written("[build]\nsource = git\n")).startswith("line 6, column 10: ")
    assert mistake(written("[build]\nsource =")).startswith("line 6, column 9: ")


def test_a_file_that_is_not_utf8_is_a_mistake(tmp_path):
    (tmp_path / "deploy.toml").write_bytes(b'app = "\xff"')
    assert "UTF-8" in mistake(tmp_path / "deploy.toml")


def test_a_missing_file_names_the_folder_and_the_way_out(tmp_path):
    with pytest.raises(UsageError, match=f"no deploy.toml in {tmp_path}") as refused:
        load(tmp_path / "deploy.toml")
    assert refused.value.hint == "`switchover init` writes one"


def test_lines_in_multiline_text_are_not_taken_for_keys(written):
    path = written('[hooks]\nbefore_switch = ["""\n[keep]\nreleases = 3\n"""]\n[keep]\nreleases = 0\n')
    assert mistake(path).startswith("keep.releases (line 11)")
