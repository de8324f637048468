"""Files that the tests of deploy.toml write, and what is wrong with them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from releases.config import Config, load
from releases.errors import ConfigError

TOP = 'app = "shop"\nroot = "/srv/shop"\n'
HOSTS = '[hosts.prod]\nssh = ["deploy@web1.example.com", "web2:2222"]\n'
HERE = Path(__file__).parents[2]

WEB = "[processes.web]\nkind = 'systemd'\ncommand = 'x'\n"
GUNICORN = "[processes.web]\nkind = 'gunicorn'\n"
COMMAND = "[processes.web]\nkind = 'command'\nreload = 'x'\nprove = 'x'\n"
MIGRATIONS = "[migrations]\nkind = 'command'\nexpand = 'x'\n"

Written = Callable[..., Path]


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
