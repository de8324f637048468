"""What a deploy.toml says."""

from pathlib import PurePosixPath

import pytest
from pydantic import ValidationError

from releases.config import Command, Gunicorn, Health, Systemd, load
from tests.config.files import HERE, only


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
