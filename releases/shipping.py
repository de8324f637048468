"""Joins a build with the hosts it goes to: what each needs, and the stream that carries it."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime

from .answer import Answer
from .build import Build
from .cache import remember
from .deploy import Shipment
from .fleet import Fleet
from .layout import Release
from .machines import compiled
from .manifest import Difference, Manifest, difference
from .payload import Built, Source, stream
from .plan import Step
from .streams import Stream
from .surveyed import Surveyed


@dataclass(frozen=True, slots=True)
class Shipping:
    """One build on its way to the hosts of *fleet*."""

    fleet: Fleet
    build: Build
    shipment: Shipment

    @classmethod
    def of(cls, fleet: Fleet, build: Build, hosts: tuple[Surveyed, ...]) -> "Shipping":
        """Name the release, and learn what each host has already."""
        taken = {release for host in hosts for release in host.facts.complete}
        release = Release.new(datetime.now(UTC), digest=build.manifest.digest, taken=taken)
        found = bases(fleet, hosts)
        shipment = Shipment(release, build.manifest, build.revision, build.subject, found, compiled(build))
        return cls(fleet, build, shipment)

    def send(self, name: str, step: Step, staged: Answer, behind: Callable[[], None]) -> None:
        """Stream to one host what it lacks; *behind* sends what follows."""
        opened = nullcontext(Built(self.build))
        deliver(self.fleet, self.shipment, name, step, staged, self._record(), lambda needed: opened, behind)

    def _record(self) -> bytes:
        """RELEASE: what the release says of itself."""
        author = self.fleet.author
        record = {
            "id": self.shipment.release.name,
            "revision": self.build.revision,
            "digest": self.build.manifest.digest,
            "built_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "by": f"{author.who}@{author.place}",
        }
        return json.dumps(record, indent=1).encode() + b"\n"


def bases(fleet: Fleet, hosts: tuple[Surveyed, ...]) -> Mapping[str, Manifest]:
    """The manifest of what is newest on each host, where it can be read."""
    return {
        host.name: manifest
        for host in hosts
        if host.facts.newest and (manifest := fleet.manifest(host, host.facts.newest))
    }


def _base(fleet: Fleet, shipment: Shipment, host: Surveyed, staged: Answer) -> Release | None:
    """What is linked from; nothing where its manifest is not known, or it is not what that says."""
    base = host.facts.newest if host.name in shipment.bases else None
    if base and staged.one("damaged"):
        said = f"{base} is not what it was: nothing is linked from it (`inv verify --release {base}`)"
        fleet.report.say(said, host.name)
        return None
    return base


def deliver(
    fleet: Fleet,
    shipment: Shipment,
    name: str,
    step: Step,
    staged: Answer,
    record: bytes,
    opened: Callable[[Difference], AbstractContextManager[Source]],
    behind: Callable[[], None],
) -> None:
    """Stream to one host what it lacks; all of it, when its newest release is not what it was."""
    host = next(host for host in fleet.hosts if host.name == name)
    base = _base(fleet, shipment, host, staged)
    needed = difference(shipment.manifest, shipment.bases[name] if base else None)
    done = 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        fleet.report.sent(name, done, needed.bytes_sent)

    mtime = int(time.time() + host.facts.clock_skew_s) - 2  # never ahead of the host: tar would complain
    with opened(needed) as source:
        packs = source.shrinks(needed)

        def write(into: Stream) -> None:
            release = shipment.release
            stream(source, release, needed, base, record, into=into, progress=progress, mtime=mtime, packs=packs)

        fleet.send(name, step, write, packs=packs, behind=behind)
    fleet.report.event("sent", name, bytes=needed.bytes_sent, files=len(needed.sent), linked=len(needed.same))
    remember(shipment.release, shipment.manifest.packed())
