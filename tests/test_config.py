"""What deploy.toml promises: one config per host, every mistake at once, and no name that could do harm."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from releases.config import Command, Config, Gunicorn, Health, Systemd, load, schema
from releases.errors import ConfigError, UsageError

TOP = 'app = "shop"\nroot = "/srv/shop"\n'
HOSTS = '[hosts.prod]\nssh = ["deploy@web1.example.com", "web2:2222"]\n'
HERE = Path(__file__).parents[1]

WEB = "[processes.web]\nkind = 'systemd'\ncommand = 'x'\n"
GUNICORN = "[processes.web]\nkind = 'gunicorn'\n"
COMMAND = "[processes.web]\nkind = 'command'\nreload = 'x'\nprove = 'x'\n"
MIGRATIONS = "[migrations]\nkind = 'command'\nexpand = 'x'\n"

Written = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Write a deploy.toml that starts with what is required."""

    def write(text: str = "", *, top: str = TOP, hosts: str = HOSTS, name: str = "deploy.toml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(top + hosts + text)
        return path

    return write


def only(path: Path) -> Config:
    return load(path, host="prod")[0].config


def mistakes(path: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert refused.value.exit_code == 2
    assert all("\n" not in line for line in refused.value.mistakes)
    return refused.value.mistakes


def mistake(path: Path) -> str:
    (line,) = mistakes(path)
    return line


def quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


# what a file says


def test_app_root_and_one_host_table_are_enough(written):
    config = only(written())
    assert (config.app, config.root) == ("shop", PurePosixPath("/srv/shop"))
    assert (config.migrations, config.health, dict(config.processes)) == (None, None, {})
    assert (config.build.source, config.build.output, config.build.timeout_s) == ("git", ".", 1800)
    assert (config.strategy.kind, config.strategy.settle_s, config.keep.releases) == ("all", 2.0, 5)


def test_every_section_is_read(written):
    config = only(
        written("""
[build]
source = "dist/shop.tar.gz"
exclude = ["tests/"]
[shared]
files = [".env"]
dirs = ["it's $(a) \\"b\\""]
[prepare]
commands = ["uv sync"]
environment = ["uv.lock"]
[migrations]
kind = "command"
pending = "bin/pending"
expand = "bin/expand"
database = "main"
[health]
url = "https://shop.example.com/health"
host = "shop.example.com:8443"
[hooks]
before_switch = ["true"]
[hooks.local]
after_switch = ["echo done"]
[keep]
releases = 3
""")
    )
    assert config.build.source == "dist/shop.tar.gz"
    assert config.shared.dirs == ('it\'s $(a) "b"',)
    assert config.prepare.environment == ("uv.lock",)
    assert config.migrations
    assert (config.migrations.run_on, config.migrations.timeout_s) == ("leader", 3600)
    assert config.health
    assert (config.health.wait_s, config.health.host) == (30, "shop.example.com:8443")
    assert config.hooks.local.after_switch == ("echo done",)
    assert config.keep.releases == 3


def test_each_kind_of_process_is_read_in_the_order_of_the_file(written):
    config = only(
        written("""
[processes.web]
kind = "systemd"
command = ".venv/bin/gunicorn shop.wsgi"
listen = "[::1]:8000"
health = "/health"
[processes.legacy]
kind = "gunicorn"
pidfile = "shared/gunicorn.pid"
start = "bin/start"
health = { url = "http://127.0.0.1:8001/", host = "shop.example.com", wait_s = 5 }
[processes.boot]
kind = "command"
reload = "bin/reload"
prove = "bin/prove"
""")
    )
    web, legacy, boot = config.processes.values()
    assert list(config.processes) == ["web", "legacy", "boot"]
    assert web == Systemd(command=".venv/bin/gunicorn shop.wsgi", listen="[::1]:8000", health=Health(url="/health"))
    assert isinstance(legacy, Gunicorn)
    assert legacy.health == Health(url="http://127.0.0.1:8001/", host="shop.example.com", wait_s=5)
    assert boot == Command(reload="bin/reload", prove="bin/prove")
    assert boot.drain_s == 30


@pytest.mark.parametrize("listen", ["", "0.0.0.0:80", "[2001:db8::1]:65535", "/run/shop/web.sock"])
def test_a_process_listens_on_an_address_a_socket_or_nothing(written, listen):
    path = written(f'[processes.web]\nkind = "systemd"\ncommand = "x"\nlisten = "{listen}"\n')
    assert only(path).processes["web"].listen == listen


def test_a_worker_can_be_asked_at_a_full_url(written):
    path = written('[processes.w]\nkind = "systemd"\ncommand = "x"\nhealth = "http://127.0.0.1:9/x"\n')
    assert only(path).processes["w"].health == Health(url="http://127.0.0.1:9/x")


def test_an_empty_health_url_asks_nothing(written):
    assert only(written('[health]\nurl = ""\nwait_s = 9\n')).health is None


def test_a_config_cannot_be_changed(written):
    config = only(written('[processes.w]\nkind = "systemd"\ncommand = "x"\n'))
    with pytest.raises(ValidationError):
        config.app = "other"
    with pytest.raises(TypeError):
        config.processes["x"] = config.processes["w"]
    assert hash(config) == hash(only(written('[processes.w]\nkind = "systemd"\ncommand = "x"\n')))
    assert config.model_dump()["processes"]["w"]["command"] == "x"


def test_the_starter_file_is_valid():
    (target,) = load(HERE / "templates/deploy.toml")
    assert target.config.app == "shop"
    assert list(target.config.processes) == ["web"]


# mistakes


def test_every_mistake_is_reported_at_once(written):
    lines = mistakes(
        written(
            "[build]\ncomand = 1\ntimeout_s = 0\n"
            "[processes.web]\nkind = 'systemd'\nlisten = 'x'\n"
            "[keep]\nreleases = 0\n",
            top='app = "Shop"\n',
        )
    )
    places = {line.split(" ")[0].rstrip(":") for line in lines}
    assert places == {
        "app",
        "root",
        "build.comand",
        "build.timeout_s",
        "processes.web.command",
        "processes.web.listen",
        "keep.releases",
    }


def test_a_mistake_says_where_what_was_expected_and_what_was_found(written):
    assert mistake(written('[keep]\nreleases = "5"\n')) == (
        'keep.releases (line 6): expected a whole number, found "5"'
    )


def test_a_missing_key_is_placed_at_its_table(written):
    assert mistake(written('\n[processes.web]\nkind = "systemd"\n')) == (
        "processes.web.command (line 6): expected this key, found nothing"
    )


@pytest.mark.parametrize(
    ("text", "place", "nearest"),
    [
        ('[biuld]\nsource = "git"', "biuld", "build"),
        ("[build]\noutputs = '.'", "build.outputs", "output"),
        ("[build]\nsource = 'gti'", "build.source", "git"),
        ("[hooks.local]\nbefore_swich = []", "hooks.local.before_swich", "before_switch"),
        ("[processes.web]\nkind = 'sistemd'", "processes.web.kind", "systemd"),
        ("[processes.web]\nkind = 'systemd'\ncommand = 'x'\nlisen = ''", "processes.web.lisen", "listen"),
        (
            "[processes.web]\nkind = 'systemd'\ncommand = 'x'\nscope = 'sytem'",
            "processes.web.scope",
            "system",
        ),
        (
            "[processes.web]\nkind = 'command'\nreload = 'x'\nprove = 'x'\nhealt = ''",
            "processes.web.healt",
            "health",
        ),
        ("[migrations]\nkind = 'comand'\npending = 'x'\nexpand = 'x'", "migrations.kind", "command"),
        (
            "[migrations]\nkind = 'command'\npending = 'x'\nexpand = 'x'\nrun_on = 'leeder'",
            "migrations.run_on",
            "leader",
        ),
        ("[health]\nurls = ''", "health.urls", "url"),
        ("[host.x]\nssh = 'web1'", "host", "hosts"),
        ("[hosts.x]\nssh = 'web1'\nbulid = {}", "hosts.x.bulid", "build"),
    ],
)
def test_a_misspelt_key_or_choice_gets_the_nearest_right_spelling(written, text, place, nearest):
    line = mistake(written(text))
    assert line.startswith(f"{place} (line ")
    assert line.endswith(f'did you mean "{nearest}"?')


@pytest.mark.parametrize(
    "text",
    [
        *(
            f'[processes.web]\nkind = "{kind}"\nsocket = "x"\n'
            for kind in (
                "uwsgi", "uvicorn", "granian", "hypercorn", "unit", "upstream", "docker", "php-fpm", "celery",
            )
        ),
        *(
            f'[migrations]\nkind = "{kind}"\npending = "x"\nexpand = "x"\n'
            for kind in ("django", "alembic", "sql")
        ),
    ],
)  # fmt: skip
def test_what_is_planned_is_refused_by_name(written, text):
    assert "not built yet: only " in mistake(written(text))


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        ("build = 5", "build", "a table"),
        ("[build]\nsource = 'svn'", "build.source", '"folder"'),
        ("[build]\nsource = '-x.zip'", "build.source", "a path"),
        ("[build]\nsource = 'shop.rar'", "build.source", ".zip"),
        ("[build]\ncommand = '  '", "build.command", "a command"),
        ("[build]\ncommand = \"a\\u0000b\"", "build.command", "a command"),
        ("[build]\noutput = '/dist'", "build.output", "a relative directory"),
        ("[build]\noutput = 'a/../b'", "build.output", "a relative directory"),
        ("[build]\nexclude = 'tests/'", "build.exclude", "a list"),
        ("[build]\nexclude = ['a', '']", "build.exclude[1]", "a gitignore pattern"),
        ("[build]\ntimeout_s = inf", "build.timeout_s", "expected"),
        ("[build]\ntimeout_s = 1e9", "build.timeout_s", "at most 86400"),
        ("[build]\ntimeout_s = true", "build.timeout_s", "a number"),
        ("[build]\ntimeout_s = '60'", "build.timeout_s", "a number"),
        ("[shared]\nfiles = ['/etc/passwd']", "shared.files[0]", "a relative path"),
        ("[shared]\nfiles = ['a/../../b']", "shared.files[0]", "a relative path"),
        ("[shared]\nfiles = [\"a\\nb\"]", "shared.files[0]", "a relative path"),
        ("[shared]\nfiles = ['RELEASE']", "shared.files[0]", "not RELEASE"),
        ("[shared]\ndirs = ['.release/web']", "shared.dirs[0]", "not RELEASE"),
        ("[shared]\ndirs = ['.']", "shared.dirs[0]", "a relative path"),
        ("[shared]\ndirs = ['media/']", "shared.dirs[0]", "a relative path"),
        ("[shared]\ndirs = ['a', 'a']", "shared.dirs", "do not contain each other"),
        ("[shared]\ndirs = ['a', 'a-b', 'a/b']", "shared.dirs", 'found "a" and "a/b"'),
        ("[shared]\nfiles = ['a/b']\ndirs = ['a']", "shared.dirs", "do not contain each other"),
        ("[prepare]\ncommands = ['']", "prepare.commands[0]", "a command"),
        ("[prepare]\nenvironment = ['/uv.lock']", "prepare.environment[0]", "a relative path"),
        (MIGRATIONS, "migrations.pending", "this key"),
        (f"{MIGRATIONS}pending = ' '", "migrations.pending", "a command"),
        (f"{MIGRATIONS}pending = 'x'\ndatabase = 'a b'", "migrations.database", "a name"),
        ("[migrations]\npending = 'x'\nexpand = 'x'", "migrations.kind", "this key"),
        ("[processes]\nweb = 5", "processes.web", "a table"),
        ("[processes.web]\ncommand = 'x'", "processes.web.kind", '"systemd"'),
        ("[processes.web]\nkind = 'systemd'\ncommand = \"a\\nb\"", "processes.web.command", "a single line"),
        (f"{WEB}listen = '8000'", "processes.web.listen", "an address with a port"),
        (f"{WEB}listen = 'localhost:8000'", "processes.web.listen", "an address with a port"),
        (f"{WEB}listen = '127.0.0.1:0'", "processes.web.listen", "an address with a port"),
        (f"{WEB}listen = '127.0.0.1:65536'", "processes.web.listen", "an address with a port"),
        (f"{WEB}listen = '[::g]:80'", "processes.web.listen", "an address with a port"),
        (f"{WEB}listen = '/run/../x.sock'", "processes.web.listen", "socket path"),
        (f"{WEB}listen = '/run/{'x' * 107}'", "processes.web.listen", "socket path"),
        (f"{WEB}health = '/health'", "processes.web.health", "listen beside it"),
        (f"{WEB}[processes.web.health]\nurl = '/health'", "processes.web.health.url", "listen beside it"),
        (f"{WEB}listen = '/x.sock'\nhealth = ''", "processes.web.health", "found nothing to ask"),
        (f"{WEB}[processes.web.health]\nwait_s = 9", "processes.web.health.url", "found nothing to ask"),
        (f"{WEB}user = 'www-data'", "processes.web.user", 'scope = "system"'),
        (f"{WEB}scope = 'system'\nuser = 'Bob'", "processes.web.user", "an account"),
        (f"{WEB}drain_s = 0", "processes.web.drain_s", "above 0"),
        (f"{WEB}start_s = nan", "processes.web.start_s", "expected"),
        (f"{WEB}rehearse = ' '", "processes.web.rehearse", "a command"),
        (GUNICORN, "processes.web.pidfile", "found neither"),
        (f"{GUNICORN}unit = 'a.service'\npidfile = 'x'", "processes.web.pidfile", "found both"),
        (f"{GUNICORN}unit = 'a.service'\nstart = 'x'", "processes.web.start", "no start beside unit"),
        (f"{GUNICORN}pidfile = 'run/x.pid'", "processes.web.start", "the command that starts it"),
        (f"{GUNICORN}pidfile = '../x.pid'\nstart = 'x'", "processes.web.pidfile", "below root"),
        (f"{GUNICORN}pidfile = 'x'\nstart = 'x'\nscope = 'system'", "processes.web.scope", "beside unit"),
        (f"{GUNICORN}unit = 'a.service'\nbefore_stop = 'x'", "processes.web.before_stop", 'found "before_stop"'),
        (f"{COMMAND}before_stop = 'x'", "processes.web.before_stop", 'found "before_stop"'),
        (f"{GUNICORN}unit = 'legacy'", "processes.web.unit", "a systemd unit"),
        (f"{GUNICORN}unit = '-a.service'", "processes.web.unit", "a systemd unit"),
        (f"{GUNICORN}unit = 'a.service'\nhealth = '/health'", "processes.web.health", "a full URL"),
        ("[processes.web]\nkind = 'command'\nreload = 'x'", "processes.web.prove", "this key"),
        (f"{COMMAND}health = '/health'", "processes.web.health", "a full URL"),
        (f"{WEB}listen = '/x'\n{WEB.replace('web', 'b')}listen = '/x'", "processes.b.listen", "than web has"),
        ("[health]\nurl = '/health'", "health.url", "a full URL"),
        ("[health]\nurl = 'ftp://x/'", "health.url", "a full URL"),
        ("[health]\nurl = 'http://x:99999/'", "health.url", "a full URL"),
        ("[health]\nurl = 'http://[::g]/'", "health.url", "a full URL"),
        ("[health]\nurl = 'http://x/a b'", "health.url", "a full URL"),
        ("[health]\nurl = \"http://x/'\"", "health.url", "a full URL"),
        ("[health]\nurl = \"http://x/\\n\"", "health.url", "a full URL"),
        ("[health]\nhost = 'a b'", "health.host", "a host"),
        ("[health]\nhost = \"a\\r\\nX: y\"", "health.host", "a host"),
        ("[hooks]\nlocal = []", "hooks.local", "a table"),
        ("[hooks]\nafter_switch = [5]", "hooks.after_switch[0]", "text in quotes"),
        ("[strategy]\nbatch = 1.5", "strategy.batch", "a whole number"),
        ("[strategy]\nhold = 1", "strategy.hold", "true or false"),
        ('[strategy]\nkind = "rolling"\nhold = true', "strategy.hold", 'false, or kind = "canary" beside it'),
        ('[strategy]\ngroups = ["prdo"]', "strategy.groups", 'found "prdo"; did you mean "prod"?'),
        ('[strategy]\ngroups = ["prod", "prod"]', "strategy.groups", 'each table once, found "prod" again'),
        ('[strategy]\ngroups = ["a b"]', "strategy.groups", "names of tables [hosts.NAME]"),
        ("[strategy]\ngroups = [5]", "strategy.groups[0]", "text in quotes"),
        ("[strategy]\nsettle_s = -1", "strategy.settle_s", "at least 0"),
        ("[keep]\nreleases = 0", "keep.releases", "at least 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(written, text, place, why):
    path = written(hosts="", text=f"{text}\n{HOSTS}") if text.startswith("build =") else written(text)
    line = mistake(path)
    assert line.split(" (line")[0] == place
    assert why in line


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


# hosts


def test_a_host_table_overrides_any_key_deeply(written):
    path = written("""
[hosts.staging]
ssh = "staging"
app = "shop-staging"
root = "/srv/staging"
[hosts.staging.health]
wait_s = 90
[hosts.staging.processes.web]
listen = "127.0.0.1:9000"
[hosts.staging.processes.worker]
kind = "systemd"
command = "work"
[build]
exclude = ["tests/"]
[hosts.staging.build]
exclude = ["docs/"]
[health]
url = "http://127.0.0.1/"
[processes.web]
kind = "systemd"
command = "serve"
listen = "127.0.0.1:8000"
""")
    prod, staging = load(path, host="prod")[0].config, load(path, host="staging")[0].config
    assert (prod.app, staging.app, str(staging.root)) == ("shop", "shop-staging", "/srv/staging")
    assert staging.health == Health(url="http://127.0.0.1/", wait_s=90)
    assert staging.build.exclude == ("docs/",)
    assert staging.processes["web"] == Systemd(command="serve", listen="127.0.0.1:9000")
    assert (list(prod.processes), list(staging.processes)) == (["web"], ["web", "worker"])


def test_app_and_root_may_come_from_the_host_tables_alone(written):
    path = written(top="", hosts='[hosts.a]\nssh = "a"\napp = "one"\nroot = "/srv/one"\n')
    assert load(path)[0].config.app == "one"


def test_what_runs_on_one_host_only_stands_in_a_table_of_that_host(written):
    """Beat on one of the workers, and nothing of it on the others or the web servers."""
    path = written(
        hosts="[hosts.web]\nssh = ['web1', 'web2']\n[hosts.web.processes.web]\nkind = 'systemd'\ncommand = 'web'\n",
        text="""
        [hosts.workers]
        ssh = ["work2", "work3"]
        processes.worker = { kind = "systemd", command = "worker" }
        [hosts.beat]
        ssh = "work1"
        processes.worker = { kind = "systemd", command = "worker" }
        processes.beat = { kind = "systemd", command = "beat" }
        [strategy]
        groups = ["beat", "workers", "web"]
        """,
    )
    found = {target.name: list(target.config.processes) for target in load(path, host="web,workers,beat")}
    assert found == {
        "web1": ["web"],
        "web2": ["web"],
        "work2": ["worker"],
        "work3": ["worker"],
        "work1": ["worker", "beat"],
    }


def test_a_mistake_in_an_override_is_placed_in_the_host_table(written):
    assert mistake(written("[hosts.prod.keep]\nreleases = 0\n[keep]\nreleases = 5\n")).startswith(
        "hosts.prod.keep.releases (line 6)"
    )


def test_a_mistake_outside_the_host_tables_is_told_once(written):
    assert mistake(written('[hosts.b]\nssh = "b"\n[keep]\nreleases = 0\n')).startswith("keep.releases")


@pytest.mark.parametrize(
    ("hosts", "place"),
    [
        ("", "hosts"),
        ("[hosts]\n", "hosts"),
        ("hosts = 5\n", "hosts"),
        ('[hosts]\nprod = ["web1"]\n', "hosts.prod"),
        ("[hosts.prod]\n", "hosts.prod.ssh"),
        ("[hosts.prod]\nssh = []\n", "hosts.prod.ssh"),
        ("[hosts.prod]\nssh = 5\n", "hosts.prod.ssh"),
        ('[hosts.prod]\nssh = ["a@web1", "b@WEB1"]\n', "hosts.prod.ssh"),
        ('[hosts.prod]\nssh = "a"\nextends = "x"\n', "hosts.prod.extends"),
        ('[hosts.prod]\nssh = "a"\n[hosts.prod.hosts.x]\nssh = "b"\n', "hosts.prod.hosts"),
    ],
)
def test_host_tables_that_name_no_host_are_refused(written, hosts, place):
    assert place in {re.split(r"[ :]", line)[0] for line in mistakes(written(hosts=hosts))}


@pytest.mark.parametrize(
    ("address", "user", "hostname", "port", "name"),
    [
        ("deploy@web1.example.com:2222", "deploy", "web1.example.com", 2222, "web1.example.com:2222"),
        ("web1", "", "web1", None, "web1"),
        ("[2001:db8::1]:22", "", "2001:db8::1", 22, "[2001:db8::1]:22"),
        ("deploy@[::1]", "deploy", "::1", None, "::1"),
        ("First.Last@10.0.0.1", "First.Last", "10.0.0.1", None, "10.0.0.1"),
    ],
)
def test_an_address_is_read_as_ssh_reads_it(written, address, user, hostname, port, name):
    (target,) = load(written(hosts=f'[hosts.prod]\nssh = "{address}"\n'))
    assert (target.address, target.user, target.hostname, target.port) == (address, user, hostname, port)
    assert (target.name, target.group) == (name, "prod")
    assert {target: 1}[target] == 1


FLEET = """[hosts.web]
ssh = ["deploy@web1", "deploy@web2:2222"]
[hosts.workers]
ssh = ["work1", "web1"]
"""


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("web", ["web1", "web2:2222"]),
        ("web2:2222, work1", ["web2:2222", "work1"]),
        ("work1,web", ["work1", "web1", "web2:2222"]),
        ("deploy@web1", ["web1"]),
    ],
)
def test_hosts_are_chosen_by_table_or_address_in_the_order_asked(written, host, names):
    assert [target.name for target in load(written(hosts=FLEET), host=host)] == names


def test_hosts_know_their_place_in_the_file_in_whichever_order_they_are_asked_for(written):
    targets = load(written(hosts=FLEET), host="work1,web")
    assert [target.name for target in sorted(targets, key=lambda target: target.order)] == [
        "web1",
        "web2:2222",
        "work1",
    ]


def test_the_only_host_table_need_not_be_named(written):
    assert [target.name for target in load(written())] == ["web1.example.com", "web2:2222"]


@pytest.mark.parametrize(
    ("host", "message", "hint"),
    [
        ("", "which hosts\\? deploy.toml has web, workers", "--host"),
        ("wrkers", "no such host: 'wrkers'; deploy.toml has web, workers", 'did you mean "workers"?'),
        ("deploy@web2:222", "no such host", 'did you mean "deploy@web2:2222"?'),
        ("web,,workers", "no such host: ''", "hosts.NAME"),
        ("web,web", "web1 is named twice", "once"),
        ("web,workers", "web1 is named twice", "once"),
        ("web1", "web1 is in more than one table: web, workers", "table"),
    ],
)
def test_hosts_that_are_unclear_are_refused_with_the_names(written, host, message, hint):
    with pytest.raises(UsageError, match=message) as refused:
        load(written(hosts=FLEET), host=host)
    assert hint in refused.value.hint


# extends


def test_an_extending_file_wins_deeply_and_lists_replace(written):
    written(
        '[build]\ncommand = "make"\nexclude = ["a", "b"]\n[keep]\nreleases = 9\n',
        top="",
        hosts="",
        name="team.toml",
    )
    path = written('[build]\nexclude = ["c"]\n', top=f'extends = "../team.toml"\n{TOP}', name="shop/deploy.toml")
    config = only(path)
    assert (config.build.command, config.build.exclude, config.keep.releases) == ("make", ("c",), 9)


def test_files_extend_along_a_chain_of_five(written):
    for number in range(1, 6):
        written(top=f'extends = "{number + 1}.toml"\n', hosts="", name=f"{number}.toml")
    written(top="[keep]\nreleases = 7\n", hosts="", name="6.toml")
    path = written(top=f'extends = "2.toml"\n{TOP}')
    assert only(path).keep.releases == 7
    path = written(top=f'extends = "1.toml"\n{TOP}')
    assert "at most 5 files" in mistake(path)


def test_a_mistake_in_an_extended_file_names_that_file(written):
    written("[keep]\nreleases = 0\n", top="", hosts="", name="team.toml")
    path = written(top=f'extends = "../team.toml"\n{TOP}', name="shop/deploy.toml")
    assert mistake(path).startswith("keep.releases (../team.toml line 2): ")


@pytest.mark.parametrize(
    ("extends", "why"),
    [
        ('"gone.toml"', 'found "gone.toml"'),
        ('"deploy.toml"', "does not extend this one"),
        ('"cycle.toml"', "does not extend this one"),
        ('"."', "a file"),
        ('"a\\u0000b"', "a file"),
        ("[]", "found a list"),
        ('"self.toml"', "a file"),
        (f'"{"x" * 5000}"', "a file"),
    ],
)
def test_extends_that_lead_nowhere_or_around_are_refused(written, extends, why):
    cycle = written(top='extends = "deploy.toml"\n', hosts="", name="cycle.toml")
    (cycle.parent / "self.toml").symlink_to("self.toml")
    line = mistake(written(top=f"extends = {extends}\n{TOP}"))
    assert re.match(r"extends \((cycle.toml )?line 1\): expected ", line)
    assert why in line


# around it


def keys(section: type[BaseModel], seen: Mapping[str, Any]) -> set[str]:
    return set(section.model_fields) | {key for name in seen for key in seen[name].get("properties", {})}


def test_the_reference_names_every_key():
    reference = (HERE / "docs/config.md").read_text()
    named = set(re.findall(r"`\[?([a-z_]+)(?:\.NAME)?\]?`", reference))
    assert keys(Config, Config.model_json_schema()["$defs"]) - named == set()


def test_the_schema_knows_every_key_and_demands_none():
    published = schema()
    assert json.loads(json.dumps(published)) == published
    assert {"app", "root", "hosts", "extends", "processes"} <= published["properties"].keys()
    assert {"ssh", "from"} <= published["properties"]["hosts"]["additionalProperties"]["properties"].keys()
    assert '"required"' not in json.dumps(published)
    assert '"oneOf"' not in json.dumps(published)


def test_the_schema_that_is_published_is_that_of_the_code():
    """By the very command of docs/config.md."""
    (command,) = re.findall(r"^python -c '(.+)' > deploy.schema.json$", (HERE / "docs/config.md").read_text(), re.M)
    written = subprocess.check_output([sys.executable, "-c", command], cwd=HERE, text=True)
    assert written == (HERE / "docs/deploy.schema.json").read_text()


def test_reading_a_config_imports_nothing_that_talks_to_hosts():
    heavy = "{'fabric', 'paramiko', 'invoke', 'jinja2'}"
    program = f"import sys, releases.config; print(sorted({heavy} & sys.modules.keys()))"
    assert subprocess.check_output([sys.executable, "-c", program], cwd=HERE, text=True).strip() == "[]"


@pytest.mark.parametrize("value", ["5", "0.5", "true", "[]", "[[]]", "{}", '{a = "{b}"}', '"{x}"', "1979-05-27", "[5]"])
@pytest.mark.parametrize(
    "key",
    [
        "app", "root", "build", "build.source", "build.timeout_s", "build.odd", "shared.dirs", "odd",
        "migrations", "migrations.kind", "processes", "processes.w", "processes.w.kind", "health",
        "health.url", "hooks.local", "strategy.kind", "keep.releases", "hosts", "hosts.prod",
        "hosts.prod.ssh", "hosts.prod.from", "hosts.prod.health", "extends",
    ],
)  # fmt: skip
def test_no_type_at_any_place_is_worse_than_a_mistake(written, key, value):
    path = written(top=f"{key} = {value}\n", hosts="")
    assert mistakes(path)


def test_what_does_not_answer_is_waited_for_as_long_as_each_host_says(written):
    far = '[hosts.prod]\nssh = ["web1"]\n[hosts.far]\nssh = ["web2"]\n[hosts.far.connection]\nlock_s = 90\n'
    near, away = load(written(hosts=far), host="prod,far")
    limits = near.config.connection
    assert (limits.connect_s, limits.silent_s, limits.lock_s) == (10, 20, 60)
    assert (away.config.connection.silent_s, away.config.connection.lock_s) == (20, 90)
    assert all(target.config.connection.reconnect_s > target.config.connection.lock_s for target in (near, away))
