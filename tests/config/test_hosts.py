"""The hosts of a file: what they override, and which are meant."""

import re

import pytest

from releases.config import Health, Systemd, load
from releases.errors import UsageError
from tests.config.files import mistake, mistakes


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
