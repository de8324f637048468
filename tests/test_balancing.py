"""What deploy.toml can say of a load balancer, and the line that each mistake of it gets."""

from pathlib import Path, PurePosixPath

import pytest

from releases.balancers.hosts import balancers, homeless
from releases.balancing import HAProxy
from releases.config import load
from releases.errors import ConfigError, Refused, UsageError

TOP = 'app = "shop"\nroot = "/srv/shop"\n[hosts.prod]\nssh = ["deploy@web1.example.com", "web2:2222"]\n'
HAPROXY = '[balancer]\nkind = "haproxy"\nsocket = "/run/haproxy.sock"\nbackend = "web"\n'
KINDS = 'expected "haproxy", "nginx", "file" or "command"'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "deploy.toml"
    path.write_text(TOP + text)
    return path


def mistake(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, text))
    (line,) = refused.value.mistakes
    return line


def test_there_is_none_unless_it_is_said(tmp_path: Path) -> None:
    """Hosts then switch while they serve."""
    assert load(written(tmp_path, ""))[0].config.balancer is None


def test_a_balancer_may_be_another_in_a_table_of_hosts(tmp_path: Path) -> None:
    """Key by key."""
    found = load(written(tmp_path, f'{HAPROXY}[hosts.prod.balancer]\nserver = "{{host}}:8000"\ndrain_s = 5\n'))
    assert found[0].config.balancer == HAProxy(
        socket="/run/haproxy.sock", backend="web", server="{host}:8000", drain_s=5
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[balancer]\nkind = "haproxi"', f'balancer.kind (line 6): {KINDS}, found "haproxi"; did you mean "haproxy"?'),
        ('[balancer]\nsocket = "/run/x.sock"', f"balancer.kind (line 5): {KINDS}, found nothing"),
        (HAPROXY.partition("backend")[0], "balancer.backend (line 5): expected this key, found nothing"),
        (HAPROXY + 'sever = "x"', 'balancer.sever (line 9): expected one of'),
        (HAPROXY + 'server = "{hosst}"', "balancer.server (line 9): expected how the balancer calls the host"),
        (HAPROXY + 'server = "a b"', "balancer.server (line 9): expected how the balancer calls the host"),
        (HAPROXY + "drain_s = 0", "balancer.drain_s (line 9): expected a number above 0, found 0"),
        (HAPROXY + "drain_s = inf", "balancer.drain_s (line 9): expected"),
        (HAPROXY + 'host = "lb1:0"', "balancer.host (line 9): expected an address"),
        (HAPROXY + 'host = "[::zz]"', "balancer.host (line 9): expected an address"),
        (HAPROXY + 'host = "-oProxyCommand=x"', "balancer.host (line 9): expected an address"),
        (HAPROXY + 'root = "/etc/shop"', "balancer.root (line 9): expected a directory of its own"),
        (HAPROXY.replace("/run/", "run/"), "balancer.socket (line 7): expected an absolute socket path"),
        (HAPROXY.replace("haproxy.sock", "x" * 108), "balancer.socket (line 7): expected an absolute socket path"),
        (HAPROXY.replace('"web"', '"web; shutdown"'), "balancer.backend (line 8): expected a name"),
        ('[balancer]\nkind = "nginx"\ninclude = "a.conf"', "balancer.include (line 7): expected an absolute path"),
        ('[balancer]\nkind = "nginx"\ninclude = "/x/../y"', "balancer.include (line 7): expected an absolute path"),
        ('[balancer]\nkind = "file"\npath = "/tmp/drain"', "balancer.path (line 7): expected a relative path"),
        ('[balancer]\nkind = "file"\npath = "../drain"', "balancer.path (line 7): expected a relative path"),
        ('[balancer]\nkind = "command"\ndrain = "x"\nundrain = ""', "balancer.undrain (line 8): expected a command"),
    ],
)  # fmt: skip
def test_a_mistake_says_where_and_what_was_expected(tmp_path: Path, text: str, why: str) -> None:
    """One line each."""
    assert why in mistake(tmp_path, text)


def test_the_host_of_a_balancer_has_one_session_whoever_is_behind_it(tmp_path: Path) -> None:
    """By its address and its root; as the account that is named."""
    remote = f'{HAPROXY}host = "ana@lb1:2222"\n'
    found = balancers({target.name: target for target in load(written(tmp_path, remote + 'root = "/srv/lb"'))})
    ((name, place),) = found.items()
    assert (name, place.name) == ("balancer lb1:2222:/srv/lb",) * 2
    assert (place.user, place.hostname, place.port) == ("ana", "lb1", 2222)
    assert place.config.root == PurePosixPath("/srv/lb")
    assert list(balancers({t.name: t for t in load(written(tmp_path, remote))})) == ["balancer lb1:2222:/srv/shop"]
    assert balancers({target.name: target for target in load(written(tmp_path, HAPROXY))}) == {}


def test_a_balancer_that_would_have_its_lock_in_an_app_is_refused(tmp_path: Path) -> None:
    """It would wait for itself."""
    hosts = load(written(tmp_path, f'{HAPROXY}host = "web2:2222"\n'))
    with pytest.raises(UsageError, match="is where web2:2222 has its app") as refused:
        balancers({target.name: target for target in hosts})
    assert "balancer.root" in refused.value.hint


def test_a_balancer_without_a_directory_is_told_how_to_make_one(tmp_path: Path) -> None:
    """`inv setup` does nothing there."""
    hosts = load(written(tmp_path, f'{HAPROXY}host = "ana@lb1"\nroot = "/srv/lb"\n'))
    (place,) = balancers({target.name: target for target in hosts}).values()
    refused = homeless(place, Refused("balancer lb1:/srv/lb: /srv/lb does not exist", hint="`inv setup` makes it"))
    assert refused.hint == "on that host, once: sudo install -d -o ana /srv/lb"
    other = Refused("balancer lb1:/srv/lb: it has no flock")
    assert homeless(place, other) is other
