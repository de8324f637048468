"""Systemd hosts on this machine, each with its own sshd, booted by systemd-nspawn from an overlay of /."""

import fcntl
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

from tests.app import until
from tests.supervise import descendants

BRIDGE = "sw-lab0"
NET = "10.99.0"
LOCK = Path("/tmp/switchover-lab.lock")
BOOT_S = 60
LOCK_S = 1800

# name, uid, home
ACCOUNTS = (("deploy", 2000, "/home/deploy"), ("shop", 2001, "/home/shop"))
NEEDED = (
    ("systemd-nspawn", "systemd-container"),
    ("sshd", "openssh-server"),
    ("ssh", "openssh-client"),
    ("ip", "iproute2"),
    ("sudo", "sudo"),
    ("/usr/lib/systemd/user/dbus.socket", "dbus-user-session"),
    ("/usr/bin/python3", "python3"),
    ("/usr/lib/python3*/ensurepip/__main__.py", "python3-venv"),
    ("/usr/bin/pip3", "python3-pip"),
)
NETWORK = "[Match]\nName=host0\n\n[Network]\nAddress={address}/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


class LabError(RuntimeError):
    """A host does not do what the lab promises; the tail of its console stands in the message."""


class Lab:
    """*hosts* systemd hosts h1, h2, … at 10.99.0.11, …; one lab at a time per machine, others wait for it.

    Each has the users ``deploy`` (uid 2000, lingers) and ``shop`` (2001), `/srv/shop` of deploy's, and this
    machine's programs, with no service enabled but sshd and networkd. *disk_mib* is what may be written on a
    host before its disk is full. Boots in about 2 s. Everything is gone after `__exit__`; what a killed lab
    left is removed by the next.
    """

    def __init__(self, hosts: int = 1, *, disk_mib: int = 4096) -> None:
        self.disk_mib = disk_mib
        self.base = Path(tempfile.gettempdir(), f"sw-lab-{uuid.uuid4().hex[:8]}")
        self.identity = self.base / "id_ed25519"
        self.known_hosts = self.base / "known_hosts"
        self.ssh_config = self.base / "ssh_config"
        self.hosts = tuple(Host(self, number) for number in range(1, hosts + 1))
        self._lock: IO[str] | None = None
        self._bridged = False

    @staticmethod
    def missing() -> str:
        """What must be there before a lab can run, in one line; empty when nothing is missing."""
        packages = [package for name, package in NEEDED if not _exists(name)]
        why = [f"apt-get install {' '.join(packages)}"] if packages else []
        why += [] if os.geteuid() == 0 else ["run as root"]
        return "systemd hosts: " + " and ".join(why) if why else ""

    @property
    def host(self) -> "Host":
        """The first host."""
        return self.hosts[0]

    def __enter__(self) -> Self:
        self._take_lock()
        try:
            self._prepare()
            for host in self.hosts:
                host.make()
                host.boot(wait=False)
            for host in self.hosts:
                host.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for host in self.hosts:
            host.power_off()
        _remove(self.base)
        if self._bridged:
            _run(["ip", "link", "delete", BRIDGE])
        if self._lock:
            self._lock.truncate(0)
            self._lock.close()

    def _take_lock(self) -> None:
        self._lock = LOCK.open("a+")
        end = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise LabError(f"another lab holds {LOCK} since more than {LOCK_S} s") from None
                time.sleep(0.2)
        self._lock.seek(0)
        for left in self._lock.read().splitlines():
            _remove(Path(left))
            subprocess.run(["ip", "link", "delete", BRIDGE], capture_output=True)
        self._lock.truncate(0)
        self._lock.write(f"{self.base}\n")
        self._lock.flush()

    def _prepare(self) -> None:
        self.base.mkdir(mode=0o700)
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(self.identity)]
        _run(key)
        self.known_hosts.touch()
        self.ssh_config.write_text(
            f"Host *\n  IdentityFile {self.identity}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.known_hosts}\n  GlobalKnownHostsFile /dev/null\n"
        )
        _run(["ip", "link", "add", BRIDGE, "type", "bridge"])
        self._bridged = True
        _run(["ip", "address", "add", f"{NET}.1/24", "dev", BRIDGE])
        _run(["ip", "link", "set", BRIDGE, "up"])


class Host:
    """One host of a lab; write below `root`, its disk as this machine sees it, only while it is off."""

    def __init__(self, lab: Lab, number: int) -> None:
        self.lab = lab
        self.name = f"h{number}"
        self.address = f"{NET}.{10 + number}"
        self.root = lab.base / self.name / "root"
        self.console = lab.base / f"{self.name}.console"
        self._nspawn: subprocess.Popen[bytes] | None = None

    known_hosts = property(lambda self: self.lab.known_hosts)
    identity = property(lambda self: self.lab.identity)
    ssh_config = property(lambda self: self.lab.ssh_config)

    def ssh(self, user: str = "root") -> str:
        """``user@address``, as deploy.toml takes it."""
        return f"{user}@{self.address}"

    def run(
        self, cmd: str, user: str = "root", check: bool = True, *, timeout_s: float = 120, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line for the login shell over OpenSSH (about 0.3 s); `systemctl --user` works.

        With *check* a failure is a `LabError` that tells both streams. 255 is ssh's own failure.
        """
        options = ("-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oConnectTimeout=5", "-oLogLevel=ERROR")
        command = ["ssh", "-F", str(self.lab.ssh_config), *options, self.ssh(user), cmd]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout_s)
        if check and done.returncode:
            raise LabError(f"{self.name}: {cmd!r} exits {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def boot(self, *, wait: bool = True) -> None:
        """Switch the host on; its disk is as it was left."""
        options = ["--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off", "--timezone=off"]
        command = ["systemd-nspawn", "-q", "-D", str(self.root), "-M", self.name, *options]
        command += [f"--network-bridge={BRIDGE}", "--console=pipe", "-b"]
        with self.console.open("ab") as console:
            self._nspawn = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
            )
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Return once systemd has started everything, the user instance of deploy too."""
        end = time.monotonic() + BOOT_S
        while not self._answers():
            if not self._nspawn or self._nspawn.poll() is not None or time.monotonic() > end:
                raise self._broken("does not boot")
            time.sleep(0.05)
        state = self._state()
        if state == "degraded":  # of hosts that boot at once one may fail to set what the kernel has for all of them
            self.run("systemctl restart $(systemctl --failed --no-legend --plain | cut -d ' ' -f 1)")
            state = self._state()
        if state != "running":
            failed = self.run("systemctl --failed --no-legend --plain", check=False).stdout.strip()
            raise self._broken(f"is {state or 'mute'}: {failed}")
        self.run("systemctl --user is-system-running --wait", user="deploy", timeout_s=BOOT_S)

    def _state(self) -> str:
        return self.run("systemctl is-system-running --wait", check=False, timeout_s=BOOT_S).stdout.strip()

    def reboot(self) -> None:
        """Shut down in order and boot again; returns when ready."""
        assert self._nspawn
        self.run("systemctl reboot", check=False)
        try:
            self._nspawn.wait(BOOT_S)  # nspawn ends with 133 instead of starting it again
        except subprocess.TimeoutExpired:
            raise self._broken("does not shut down") from None
        self.power_off()
        self.boot()

    def power_off(self) -> None:
        """Kill every process at once, in the middle of whatever it does."""
        nspawn, self._nspawn = self._nspawn, None
        if nspawn:
            _kill([*descendants(nspawn.pid), nspawn.pid])
            nspawn.wait()
            self._unplugged()

    def _unplugged(self) -> None:
        """Its line is the kernel's to remove, a moment after its last process; the next boot brings its own."""
        line = Path(f"/sys/class/net/vb-{self.name}")
        until(lambda: not line.exists(), limit_s=BOOT_S, what="the end of its line")

    def make(self) -> None:
        """Put the disk together: an overlay of this machine's /, and in it what is the host's own."""
        disk = self.root.parent
        disk.mkdir()
        _run(["mount", "-t", "tmpfs", "-o", f"size={self.lab.disk_mib}m,mode=755", self.name, str(disk)])
        for name in ("root", "upper", "work"):
            (disk / name).mkdir()
        layers = f"lowerdir=/,upperdir={disk}/upper,workdir={disk}/work"
        _run(["mount", "-t", "overlay", "-o", layers, self.name, str(self.root)])
        self._settings()
        self._accounts()

    def _settings(self) -> None:
        etc = self.root / "etc"
        (etc / "hostname").write_text(f"{self.name}\n")
        names = "".join(f"{host.address} {host.name}\n" for host in self.lab.hosts)
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
        (etc / "machine-id").unlink(missing_ok=True)
        (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
        for folder in ("systemd/network", "ssh"):
            (etc / folder).mkdir(parents=True, exist_ok=True)
        (etc / "systemd/network/10-lab.network").write_text(NETWORK.format(address=self.address))
        units = etc / "systemd/system"
        for wanted in (*units.glob("*.wants/*"), *units.glob("*.requires/*"), *etc.glob("rc?.d/*")):
            wanted.unlink()  # disabled rather than masked: a test may start what it needs
        wants = units / "multi-user.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        for unit in ("ssh.service", "systemd-networkd.service"):
            (wants / unit).symlink_to(f"/lib/systemd/system/{unit}")
        # Of several that boot at once one may fail to remount its root, or to set what the kernel has for all of them.
        not_here = ("console-getty", "systemd-firstboot", "systemd-remount-fs", "systemd-sysctl", "systemd-timesyncd")
        for unit in (f"{name}.service" for name in not_here):
            (units / unit).unlink(missing_ok=True)
            (units / unit).symlink_to("/dev/null")
        for key in (etc / "ssh").glob("ssh_host_*"):
            key.unlink()
        key = etc / "ssh/ssh_host_ed25519_key"
        _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", str(key)])
        kind, public = key.with_suffix(".pub").read_text().split()[:2]
        with self.known_hosts.open("a") as known:
            known.write(f"{self.address} {kind} {public}\n")

    def _accounts(self) -> None:
        lines = {
            "passwd": [f"{name}:x:{uid}:{uid}::{home}:/bin/bash" for name, uid, home in ACCOUNTS],
            "group": [f"{name}:x:{uid}:" for name, uid, _ in ACCOUNTS],
            "shadow": [f"{name}:*:20000:0:99999:7:::" for name, _, _ in ACCOUNTS],
        }
        ours = {name for name, _, _ in ACCOUNTS}
        for file, added in lines.items():
            path = self.root / "etc" / file
            kept = [line for line in path.read_text().splitlines() if line.partition(":")[0] not in ours]
            path.write_text("\n".join([*kept, *added, ""]))
        self._authorize(self.root / "root", 0)
        for profile in (".bash_login", ".bash_profile", ".bashrc", ".profile"):
            (self.root / "root" / profile).unlink(missing_ok=True)  # what this machine's root likes takes its time
        for _, uid, home in ACCOUNTS:
            place = self.root / home.lstrip("/")
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(self.root / "etc/skel", place)
            self._authorize(place, uid)
            _own(place, uid)
        lingering = self.root / "var/lib/systemd/linger/deploy"
        lingering.parent.mkdir(parents=True, exist_ok=True)
        lingering.touch()
        shop = self.root / "srv/shop"
        shutil.rmtree(shop, ignore_errors=True)
        shop.mkdir(parents=True)
        _own(shop, ACCOUNTS[0][1])

    def _authorize(self, home: Path, uid: int) -> None:
        shutil.rmtree(home / ".ssh", ignore_errors=True)
        (home / ".ssh").mkdir(mode=0o700)
        keys = home / ".ssh/authorized_keys"
        shutil.copy(self.identity.with_suffix(".pub"), keys)
        keys.chmod(0o600)
        _own(home / ".ssh", uid)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.address, 22), timeout=1) as line:
                return line.recv(4) == b"SSH-"
        except OSError:
            return False

    def _broken(self, what: str) -> LabError:
        tail = self.console.read_text(errors="replace")[-3000:]
        return LabError(f"{self.name} {what}\n--- end of its console\n{tail}")


def _exists(name: str) -> bool:
    found = Path("/").glob(name[1:]) if name.startswith("/") else filter(None, [shutil.which(name, path=_PATH)])
    return any(found)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise LabError(f"{shlex.join(command)} exits {done.returncode}: {done.stderr.strip()}")


def _own(path: Path, uid: int) -> None:
    for place in (path, *path.rglob("*")):
        os.chown(place, uid, uid, follow_symlinks=False)


def _kill(pids: list[int]) -> None:
    """Kill all of them and wait until they are gone (our own child may stay a zombie)."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while any(_alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _remove(base: Path) -> None:
    """End whatever a lab at *base* left: its hosts' processes, mounts and folder."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = os.fsdecode(entry.read_bytes()).split("\0")
            if words[0].endswith("systemd-nspawn") and any(word.startswith(f"{base}/") for word in words):
                pid = int(entry.parent.name)
                _kill([*descendants(pid), pid])
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in reversed([mount for mount in mounts if mount.startswith(f"{base}/")]):
        subprocess.run(["umount", "-l", place], capture_output=True)
    still = [line for line in Path("/proc/self/mounts").read_text().splitlines() if f" {base}/" in line]
    if not still:  # never delete through a mount
        shutil.rmtree(base, ignore_errors=True)
