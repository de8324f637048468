"""The Wagtail example on three systemd hosts behind a balancer on a fourth, its PostgreSQL on a fifth."""

import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from releases.probe import Client, Load
from tests.app import until
from tests.fleet.site import EXAMPLE, Site
from tests.lab import Host, Lab

HOSTS = 5
POSTGRES = r"""
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
mkdir -p /srv/pg && chown postgres: /srv/pg && cd /
runuser -u postgres -- "$bin/initdb" -D /srv/pg -A trust -N >/dev/null
echo 'host all all 10.99.0.0/24 trust' >>/srv/pg/pg_hba.conf
set -- -D /srv/pg -c listen_addresses='*' -c unix_socket_directories=/srv/pg -c fsync=off
systemd-run -q --unit=pg -p User=postgres "$bin/postgres" "$@"
set -- -c 'CREATE ROLE shop LOGIN' -c 'CREATE DATABASE shop OWNER shop'
until "$bin/psql" -h /srv/pg -U postgres -q "$@"; do sleep 0.1; done
"""
HAPROXY = """
global
    stats socket /srv/shop/lb/haproxy.sock mode 600 level admin
    log stdout format raw local0
defaults
    mode http
    log global
    option httplog
    option dontlog-normal
    timeout connect 5s
    timeout client 90s
    timeout server 90s
    retries 3
    option redispatch
frontend shop
    bind :8080
    default_backend web
backend web
    option httpchk GET /health
    default-server check inter 300ms fall 2 rise 1
"""
NGINX = """
worker_processes 1;
pid /srv/shop/lb/nginx.pid;
error_log /srv/shop/lb/error.log;
events {}
http {
    access_log off;
    client_body_temp_path /srv/shop/lb/body;
    proxy_temp_path /srv/shop/lb/proxy;
    fastcgi_temp_path /srv/shop/lb/fastcgi;
    uwsgi_temp_path /srv/shop/lb/uwsgi;
    scgi_temp_path /srv/shop/lb/scgi;
    upstream web {
        include /srv/shop/lb/servers.conf;
    }
    server {
        listen 8080;
        location / {
            proxy_pass http://web;
            proxy_next_upstream error timeout http_502 http_503;
        }
    }
}
"""
TEST = "/usr/sbin/nginx -q -t -c /srv/shop/lb/nginx.conf"
RELOAD = "/usr/sbin/nginx -s reload -c /srv/shop/lb/nginx.conf"
START = {
    "haproxy": "/usr/sbin/haproxy -W -f /srv/shop/lb/haproxy.cfg",
    "nginx": "/usr/sbin/nginx -c /srv/shop/lb/nginx.conf -g 'daemon off;'",
}
BALANCERS = {
    "none": "",
    "haproxy": 'kind = "haproxy"\nsocket = "/srv/shop/lb/haproxy.sock"\nbackend = "web"\n',
    "nginx": f'kind = "nginx"\ninclude = "/srv/shop/lb/servers.conf"\nserver = "{{host}}:8000"\n'
    f'test = "{TEST}"\nreload = "{RELOAD}"\n',
}
# A host fails behind the rename where this file lies on it.
HOOKS = '[hooks]\nafter_switch = ["test ! -e ../../shared/broken"]\n'


@dataclass
class Behind(Site):
    """The site on *web*, with a balancer of a kind in front; nothing is said of a strategy until `choose`."""

    web: tuple[Host, ...] = ()
    balancer: Host | None = None
    database: Host | None = None
    plain: str = field(default="", init=False)

    @classmethod
    def of(cls, lab: Lab, base: Path, wheels: Path) -> "Behind":
        """With its database, and the first release still to be deployed."""
        *web, balancer, database = lab.hosts[:HOSTS]
        found = cls(base / "shop", base / "unused", lab.host.ssh("deploy"), lab.ssh_config, web=tuple(web))
        found.balancer, found.database = balancer, database
        database.run(POSTGRES)
        found.begin(wheels, listen="0.0.0.0:8000")
        deploy = found.folder / "deploy.toml"
        every = ", ".join(f'"{host.ssh("deploy")}"' for host in web)
        text = deploy.read_text().replace(f'["{found.address}"]', f"[{every}]").replace('"each"', '"leader"')
        found.plain = text + HOOKS
        found.choose("all", "none")
        assert found.run("setup").code == 0
        secrets = f"SECRET_KEY={'x' * 60}\nALLOWED_HOSTS=*\nDATABASE_URL=postgres://shop@{database.address}/shop\n"
        for host in web:
            host.run(f"umask 077; cat >/srv/shop/shared/.env <<'END'\n{secrets}END", user="deploy")
        return found

    def choose(self, strategy: str, balancer: str, more: str = "") -> None:
        """Say in which order, and through what; deploy.toml is no part of a release."""
        assert self.balancer
        text = f'{self.plain}\n[strategy]\nkind = "{strategy}"\nsettle_s = 1\n{more}\n'
        if settings := BALANCERS[balancer]:
            text += f'[balancer]\n{settings}host = "{self.balancer.ssh("deploy")}"\n'
        (self.folder / "deploy.toml").write_text(text)

    def balance(self, kind: str) -> None:
        """Start the balancer of this *kind*, in place of the other."""
        assert self.balancer
        servers = "".join(f"server {h.address}:8000 max_fails=1 fail_timeout=1s;\n" for h in self.web)
        backend = "".join(f"    server {h.address} {h.address}:8000\n" for h in self.web)
        files = {"haproxy.cfg": HAPROXY + backend, "nginx.conf": NGINX, "servers.conf": servers}
        self.balancer.run("mkdir -p /srv/shop/lb", user="deploy")
        for name, text in files.items():
            self.balancer.run(f"cat >/srv/shop/lb/{name}", user="deploy", stdin=text)
        self.balancer.run("systemctl stop lb; systemctl reset-failed lb", check=False)
        self.balancer.run(f"systemd-run -q --unit=lb -p User=deploy {START[kind]}")
        until(self.answers, what=f"an answer through {kind}")

    def told(self, since_s: float) -> str:
        """What the balancer has said of requests that went wrong in the last so many seconds."""
        assert self.balancer
        said = f"journalctl -q --no-pager -u lb --since '-{since_s:.0f} s' -g ' [0-9]+/[0-9]+/' | tail -n 20"
        return self.balancer.run(said, check=False).stdout

    def answers(self) -> bool:
        """Does the site answer through its balancer?"""
        try:
            with urllib.request.urlopen(self.url, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    @property
    def url(self) -> str:
        """Where its clients ask."""
        assert self.balancer
        return f"http://{self.balancer.address}:8080/health"

    @property
    def live(self) -> list[str]:
        """The release that `current` names, on each host."""
        return [h.run("readlink /srv/shop/current", check=False).stdout.strip().rpartition("/")[2] for h in self.web]

    @contextmanager
    def breaking(self, *hosts: Host) -> Iterator[None]:
        """Let the switch fail on these."""
        for host in hosts:
            host.run("touch /srv/shop/shared/broken", user="deploy")
        yield
        for host in hosts:
            host.run("rm /srv/shop/shared/broken", user="deploy")

    def drained(self) -> list[str]:
        """The servers that the balancer gives no new work, asked on its own host."""
        assert self.balancer
        marked = self.balancer.run("grep -w down /srv/shop/lb/servers.conf", check=False).stdout.split()
        show = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/srv/shop/lb/haproxy.sock')\n"
        show += "s.sendall(b'show stat\\n'); print(s.makefile().read())"
        stat = self.balancer.run(f'/usr/bin/python3 -c "{show}"', check=False).stdout
        return [*marked, *(line for line in stat.splitlines() if line.startswith("web,") and "DRAIN" in line)]


@contextmanager
def asking(site: Behind, *, retries: bool) -> Iterator[Load]:
    """Clients that ask through the balancer all the time; with *retries* some do as browsers do: `Client`."""
    load = Load(site.url, (Client(), Client(keeps=True, retries=retries)) * 2)
    load.start()
    until(lambda: load.between(0, time.monotonic()).count > 20, what="load")
    try:
        yield load
    finally:
        load.stop()


__all__ = ["EXAMPLE", "Behind", "asking"]
