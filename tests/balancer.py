"""Real balancers before tiny servers on this machine; everything of them ends with the test."""

import http.server
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.app import until
from tests.sshd import free_port

TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def missing(program: str, package: str) -> str:
    """What must be installed, in one line; empty when nothing is."""
    return "" if shutil.which(program, path=PATH) else f"no {program}: apt-get install {package}"


class HAProxy:
    """One frontend, and a backend ``web`` with *servers*: name → port."""

    def __init__(self, base: Path, servers: Mapping[str, int], *, level: str = "admin", checked: bool = True) -> None:
        self.port, self.socket, self.config = free_port(), base / "haproxy.sock", base / "haproxy.cfg"
        check = " check inter 200ms" if checked else ""
        lines = "".join(f"  server {name} 127.0.0.1:{port}{check}\n" for name, port in servers.items())
        self.config.write_text(
            f"global\n  nbthread 1\n  stats socket {self.socket} mode 600 level {level}\n"
            "defaults\n  mode http\n  retries 0\n  timeout connect 2s\n  timeout client 30s\n  timeout server 30s\n"
            f"frontend shop\n  bind 127.0.0.1:{self.port}\n  default_backend web\n"
            f"backend web\n  option httpchk GET /version\n  balance roundrobin\n{lines}"
        )
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients come."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, and see every server."""
        program = shutil.which("haproxy", path=PATH) or "haproxy"
        self.process = subprocess.Popen(
            [program, "-db", "-f", str(self.config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self.socket.exists, what="the socket of haproxy")

    def stop(self) -> None:
        """End at once."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def told(self, command: str) -> str:
        """What it answers on its socket."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self.socket))
            line.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: line.recv(65536), b"")).decode()

    @property
    def states(self) -> dict[str, str]:
        """How it sees each server: UP, DOWN, DRAIN, MAINT."""
        rows = (row.split(",") for row in self.told("show stat").splitlines() if row.startswith("web,"))
        return {row[1]: row[17] for row in rows if row[1] != "BACKEND"}

    def __enter__(self) -> "HAProxy":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Nginx:
    """One upstream of *servers*, name → port, whose lines are in `include`; what fails is not asked again elsewhere."""

    def __init__(self, base: Path, servers: Mapping[str, int]) -> None:
        self.port, self.base, self.include = free_port(), base, base / "servers.conf"
        self.include.write_text("".join(f"server 127.0.0.1:{port} max_fails=0;\n" for port in servers.values()))
        places = "".join(f"{kind}_temp_path {base}/{kind}; " for kind in TEMPORARY)
        (base / "nginx.conf").write_text(
            f"daemon on; pid {base}/pid; error_log {base}/log; worker_processes 1;\nevents {{}}\n"
            f"http {{ access_log off; {places}\n  upstream shop {{ include {self.include}; }}\n"
            f"  server {{ listen 127.0.0.1:{self.port};\n"
            "    location / { proxy_pass http://shop; proxy_next_upstream off; } } }\n"
        )
        self.command = f"{shutil.which('nginx', path=PATH) or 'nginx'} -p {base} -c {base}/nginx.conf"

    @property
    def url(self) -> str:
        """Where clients come."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Nginx":
        subprocess.run(["sh", "-c", self.command], check=True, capture_output=True)
        return self

    def __exit__(self, *_: object) -> None:
        pid = int((self.base / "pid").read_text())
        subprocess.run(["sh", "-c", f"{self.command} -s stop"], check=True, capture_output=True)
        until(lambda: not Path(f"/proc/{pid}").exists(), what="the end of nginx")


class Server(http.server.ThreadingHTTPServer):
    """Silent about those who ask for a status, and hang up before the rest."""

    def handle_error(self, *_: object) -> None:
        """Health checks do so all the time."""


@contextmanager
def serving(roots: Mapping[str, Path]) -> Iterator[dict[str, int]]:
    """A server for each root, which answers with what is live there; yields their ports."""
    servers = {name: Server(("127.0.0.1", 0), _answering(root)) for name, root in roots.items()}
    for server in servers.values():
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield {name: int(server.server_address[1]) for name, server in servers.items()}
    for server in servers.values():
        server.shutdown()
        server.server_close()


def _answering(root: Path) -> type[http.server.BaseHTTPRequestHandler]:
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file = root / "current" / "version"
            text = file.read_bytes() if file.exists() else b"nothing"
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Silent."""

    return Answers


class Upstream:
    """A server that counts who asks, and answers when it is let."""

    def __init__(self) -> None:
        self.asked, self.let = 0, threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.listener.getsockname()[1])

    @property
    def address(self) -> str:
        """As nginx has it."""
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        """Answer what waits, and nobody else."""
        self.let.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self.listener.accept()
                threading.Thread(target=self._answer, args=(line,), daemon=True).start()

    def _answer(self, line: socket.socket) -> None:
        with line:
            line.recv(65536)
            self.asked += 1
            self.let.wait(30)
            line.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
