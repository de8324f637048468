"""Joins a release that lies on one host with the hosts that lack it: it is streamed from there, through here."""

import base64
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from .answer import Answer
from .deploy import Shipment
from .errors import Refused, StepFailed
from .fleet import Fleet
from .layout import Release
from .manifest import FILE, LINK, Difference, Entry, Manifest
from .packing import CHUNK_BYTES
from .plan import Step
from .shipping import bases, deliver
from .surveyed import Surveyed

READ = "xargs -0r cat --"
AT_ONCE = 4  # channels that read from one host: sshd gives ten for each connection

Read = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Copy:
    """A release as it lies on the host *source*: its *record* (RELEASE), and where its links lead."""

    release: Release
    source: str
    manifest: Manifest
    record: bytes
    targets: Mapping[str, str]

    @classmethod
    def of(cls, release: Release, source: str, manifest: Manifest, answer: Answer) -> "Copy":
        """Read what *source* says of it; `Refused` for a link that does not lead where the manifest says."""
        links = [entry.path for entry in manifest.entries if entry.kind == LINK]
        told = [os.fsdecode(base64.b64decode(text)) for text in answer.all("target")]
        targets = dict(zip(links, told, strict=False))
        for entry in manifest.entries:
            if entry.kind == LINK and _digest(os.fsencode(targets.get(entry.path, ""))) != entry.sha256:
                raise Refused(
                    f"{source}: {release} is not what was built: {entry.path} leads elsewhere",
                    hint=f"`inv verify {release}` names the hosts where it is whole",
                )
        return cls(release, source, manifest, base64.b64decode(answer.one("record")), targets)


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy on its way, a `Source` of a payload: *read* gives the bytes of its files, one after another."""

    copy: Copy
    read: Read

    @property
    def manifest(self) -> Manifest:
        """What it is made of."""
        return self.copy.manifest

    def target(self, entry: Entry) -> str:
        """Where a link leads."""
        return self.copy.targets[entry.path]

    def shrinks(self, difference: Difference) -> bool:
        """It cannot be looked at before it comes."""
        return True

    def content(self, entry: Entry) -> Iterator[bytes]:
        """As many bytes as the manifest says, or `StepFailed` when they are others."""
        left, digest = entry.size_bytes, hashlib.sha256()
        while left:
            chunk = self.read(min(left, CHUNK_BYTES))
            left -= len(chunk)
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != entry.sha256:
            why = f"{self.copy.release} is not what was built: {entry.path} has other bytes"
            raise StepFailed(self.copy.source, "send", 70, [why], judged=True)


@dataclass(frozen=True, slots=True)
class Copying:
    """One copy on its way to those hosts of *fleet* that lack it."""

    fleet: Fleet
    copy: Copy
    shipment: Shipment
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AT_ONCE))

    @classmethod
    def of(cls, fleet: Fleet, hosts: tuple[Surveyed, ...], release: Release) -> "Copying | None":
        """Learn of *release* what has to be known to send it; None where no host lacks it, or none has it.

        Raises `Refused` when no host that has it can tell what it is made of.
        """
        lacking = tuple(host for host in hosts if release not in host.facts.complete)
        having = [host for host in hosts if release in host.facts.complete]
        if not lacking or not having:
            return None
        source, manifest = next(((h, m) for h in having if (m := fleet.manifest(h, release))), (having[0], None))
        if not manifest:
            hint = f"`inv verify {release}` names the hosts where it is whole"
            raise Refused(f"{source.name}: the manifest of {release} cannot be read", hint=hint)
        answer = fleet.run(source.name, Step("original", {"root": source.config.root, "release": release}, ""))
        copy = Copy.of(release, source.name, manifest, answer)
        first = source.facts.history.first_deploy(release)
        revision, subject = (str(first.get(key, "")) for key in ("revision", "subject"))
        return cls(fleet, copy, Shipment(release, manifest, revision, subject, bases(fleet, lacking), {}, source.name))

    def send(self, name: str, step: Step, staged: Answer, behind: Callable[[], None]) -> None:
        """Stream to one host what it lacks; *behind* sends what follows."""
        record, shipment = self.copy.record, self.shipment
        deliver(self.fleet, shipment, name, step, staged, record, lambda n: self._opened(n, step), behind)

    @contextmanager
    def _opened(self, needed: Difference, step: Step) -> Iterator[Copied]:
        """A channel on the source that gives what is *needed*; what its `prepare` made is not in the manifest."""
        names = b"".join(os.fsencode(entry.path) + b"\0" for entry in needed.sent if entry.kind == FILE)
        source = next(host for host in self.fleet.hosts if host.name == self.copy.source)
        directory = str(source.layout.directory(self.copy.release))
        with self.gate:  # where it may have to wait until there is no session any more
            session = self.fleet.session(source.name, step.label)
            with session.bulk.receiving(step.label, READ, directory, names, timeout_s=step.timeout_s) as read:
                yield Copied(self.copy, read)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
