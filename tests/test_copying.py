"""A release that is copied from another host is taken for nothing but what its manifest says."""

import base64
import hashlib
import io

import pytest

from releases.answer import Answer
from releases.copying import Copied, Copy, Copying
from releases.deploy import Shipment
from releases.errors import Refused, StepFailed, Unreachable
from releases.layout import Release
from releases.manifest import FILE, LINK, Difference, Entry, Manifest, difference
from releases.payload import stream
from releases.plan import Step
from tests.hosts import A, host
from tests.test_rejoining import Lines, fleet


def entry(path: str, content: bytes, kind: int = FILE | 0o644) -> Entry:
    """What a manifest says of it."""
    return Entry(path, kind, hashlib.sha256(content).hexdigest(), len(content))


WHOLE = Manifest.of([entry("a", b"one"), entry("b", b""), entry("c", b"three"), entry("l", b"../x", LINK | 0o777)])


def told(target: bytes) -> Answer:
    """What a host says of its release."""
    pairs = [("record", b'{"id":"x"}'), ("target", target)]
    return Answer(tuple((key, base64.b64encode(value).decode()) for key, value in pairs))


def test_what_a_manifest_does_not_tell_is_read_from_the_host() -> None:
    """Where links lead, and what the release says of itself."""
    copy = Copy.of(A, "web1", WHOLE, told(b"../x"))
    assert (copy.targets, copy.record) == ({"l": "../x"}, b'{"id":"x"}')


@pytest.mark.parametrize("answer", [told(b"/etc/passwd"), Answer()])
def test_a_link_that_leads_elsewhere_is_refused(answer: Answer) -> None:
    """Before anything is sent; the host is named."""
    with pytest.raises(Refused, match=f"^web1: {A} is not what was built: l leads elsewhere"):
        Copy.of(A, "web1", WHOLE, answer)


def sent(content: bytes) -> bytes:
    """The payload of a copy whose host gives *content*, in small pieces."""
    source, into = io.BytesIO(content), io.BytesIO()
    copied = Copied(Copy.of(A, "web1", WHOLE, told(b"../x")), lambda count: source.read(min(count, 2)))
    needed: Difference = difference(WHOLE, None)
    stream(copied, Release(A.name), needed, None, b"{}", into=into, progress=lambda _: None, mtime=0, packs=True)
    return into.getvalue()


def test_files_come_one_after_another_and_are_compared_on_their_way() -> None:
    """The host that has other bytes is named, not the one that is sent them."""
    assert sent(b"onethree")
    with pytest.raises(StepFailed, match=f"^web1: send failed: {A} is not what was built: c has other bytes"):
        sent(b"onethrex")


def test_a_copy_whose_turn_comes_when_all_is_closed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while it waited for one of the channels that read from its source."""
    mine = fleet(Lines(), monkeypatch, "web1", "web2")
    mine.hosts = tuple(host(A, name=name) for name in ("web1", "web2"))
    copying = Copying(mine, Copy.of(A, "web1", WHOLE, told(b"../x")), Shipment(A, WHOLE, source="web1"))
    with pytest.raises(Unreachable, match="there is no session any more for send"):
        copying.send("web2", Step("send", {}, ""), Answer(), lambda: None)
