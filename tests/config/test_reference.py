"""What is written of the file: the reference, the schema; and what reading it costs."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from releases.config import Config, load, schema
from tests.config.files import (
    HERE,
    mistakes,
)


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
