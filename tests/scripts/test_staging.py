"""stage, check, link and seal: how a release becomes complete."""

import base64
import os
import stat
from pathlib import Path

import pytest

from releases import steps
from releases.layout import Release
from releases.manifest import LINK
from tests.hosts import config
from tests.scripts.running import HOSTILE, A, B, C, Here, arrived, manifest


def mode(path: Path) -> int:
    """The permissions of a path."""
    return stat.S_IMODE(path.lstat().st_mode)


def test_stage_removes_what_dead_deploys_left(account: Here) -> None:
    """Releases without a manifest, copies half made, manifests and arms not in place; read-only ones, too."""
    debris = account.release(B, {"a/b/c": "x"}, complete=False)
    for path in (debris / "a" / "b", debris / "a", debris):
        path.chmod(0o555)
    account.release(A, complete=False)
    (account.root / "releases" / f"{A}.copy" / "half").mkdir(parents=True)
    (account.private / "manifests" / f".{B}.gz").write_text("half")
    (account.private / "armed" / "3.new").mkdir()
    (account.private / "pins.new").write_text("half")
    begun(account, A, B)
    account.own()
    ran = account.run(steps.stage(account.layout, C, None))
    assert (ran.code, ran.err) == (0, "")
    assert os.listdir(account.root / "releases") == []
    known = ("armed", "confirmed", "journal.jsonl", "manifests")
    assert [path for path in account.private.rglob("*") if path.name not in known] == []


def begun(here: Here, *releases: Release) -> None:
    """The journal of deploys of these."""
    lines = (f'{{"event":"deploy","deploy":{n},"release":"{r}"}}\n' for n, r in enumerate(releases, 1))
    (here.private / "journal.jsonl").write_text("".join(lines))


def test_stage_removes_nothing_that_no_deploy_has_begun(here: Here) -> None:
    """P6: not the releases of a host whose .switchover was lost, nor what a person has copied beside them."""
    here.release(A, complete=False)
    here.release(B, {f"../{B}-before-hotfix/file": "kept"}, complete=False)
    begun(here, B)
    assert here.run(steps.stage(here.layout, C, None)).code == 0
    assert sorted(os.listdir(here.root / "releases")) == [A.name, f"{B}-before-hotfix"]


def test_stage_goes_on_beside_what_only_root_may_remove(account: Here) -> None:
    """A file that a command as root has left in a release must not stop every later deploy."""
    theirs = account.release(A, complete=False) / "theirs"
    begun(account, A)
    account.own()
    theirs.mkdir()
    (theirs / "file").touch()
    if account.drops:
        theirs.chmod(0o700)
    ran = account.run(steps.stage(account.layout, C, None))
    assert ran.code == 0
    assert not account.drops or "only root may remove" in ran.err


def test_a_session_that_gets_the_lock_removes_the_lists_of_a_check_that_died(here: Here) -> None:
    """But not those of one that runs: whoever verifies takes no lock."""
    for pid in (4194305, os.getpid()):
        (here.private / f"verifying.{pid}").mkdir(parents=True)
    ran = here.run(steps.settle(here.layout, '{"who":"ana"'))
    assert (ran.code, ran.err) == (0, "")
    assert [path.name for path in here.private.glob("verifying.*")] == [f"verifying.{os.getpid()}"]


def test_stage_spares_what_is_complete_live_or_a_stranger(here: Here) -> None:
    """Also what is live without a manifest, and a link that is named like a release."""
    here.release(A)
    here.release(B, complete=False)
    (here.root / "current").symlink_to(f"releases/{B}")
    (here.root / "releases" / C.name).symlink_to(A.name)
    strangers = ("notes", "20261121", f"x{A}", *HOSTILE)
    for name in strangers:
        here.release(A, {f"../{name}/file": "kept"})
    assert here.run(steps.stage(here.layout, C, None)).code == 73  # it is there already, as a link
    assert set(os.listdir(here.root / "releases")) == {A.name, B.name, C.name, *strangers}
    assert not list(here.base.rglob("pwned"))


@pytest.mark.parametrize("harm", ["size", "mode", "missing", "kind", "manifest", "directory", "nothing"])
def test_stage_tells_whether_the_base_of_links_is_there(here: Here, harm: str) -> None:
    """All of it; its bytes are compared where they are linked to."""
    base = here.complete(here.release(A, {"a": "one", "b": "two"}, complete=False))
    directory = here.root / "releases" / base.name
    packed = here.private / "manifests" / f"{base}.gz"
    if harm == "size":
        (directory / "a").write_text("more")
    if harm == "mode":
        (directory / "a").chmod(0o755)
    if harm == "missing":
        (directory / "a").unlink()
    if harm == "kind":
        (directory / "a").unlink()
        (directory / "a").mkdir()
    if harm == "manifest":
        packed.write_bytes(packed.read_bytes()[:-12])
    if harm == "directory":
        directory.rename(here.base / "gone")
    ran = here.run(steps.stage(here.layout, B, base))
    assert (ran.code, ran.answer.one("damaged")) == (0, "" if harm == "nothing" else base.name)


def test_check_is_content_with_what_arrived_whole(here: Here) -> None:
    """The manifest is put aside, to be written into place last."""
    directory = here.release(A, {"a": "one", "b/c": "two"}, complete=False)
    (directory / "empty").mkdir()
    (directory / "link").symlink_to("b/c")
    release, directory, digest = arrived(directory)
    ran = here.run(steps.check(here.layout, release, digest, copies=False))
    assert (ran.code, tuple(ran.answer), ran.err) == (0, (), "")
    assert not (directory / ".manifest.gz").exists()
    assert [path.name for path in (here.private / "manifests").iterdir()] == [f".{release}.gz"]


def test_check_names_what_is_not_as_it_was_sent(here: Here) -> None:
    """Other bytes, a missing path, another mode."""
    directory = here.release(A, {"a": "one", "b": "two", "c": "three", "d": "four"}, complete=False)
    release, directory, digest = arrived(directory)
    (directory / "a").write_text("One")
    (directory / "b").unlink()
    (directory / "c").chmod(0o755)
    (directory / "d").chmod(0o444)  # write bits are taken away anyway
    ran = here.run(steps.check(here.layout, release, digest, copies=False))
    assert (ran.code, set(ran.answer)) == (65, {("changed", "a"), ("missing", "b"), ("mode", "c")})


def test_check_refuses_a_manifest_that_was_cut(here: Here) -> None:
    """74: nothing can be said about the rest."""
    release, directory, digest = arrived(here.release(A, complete=False))
    packed = directory / ".manifest.gz"
    packed.write_bytes(packed.read_bytes()[:-20])
    assert here.run(steps.check(here.layout, release, digest, copies=False)).code == 74


@pytest.mark.parametrize("copies", [False, True])
def test_copies_share_no_file_with_another_release(here: Here, copies: bool) -> None:
    """Only where commands run in the release; else what is the same stays linked."""
    old = here.release(A, {"same": "x" * 1000, "run": "y"})
    new = here.release(B, {"run": "z"}, complete=False)
    os.link(old / "same", new / "same")
    (new / "run").chmod(0o755)
    (new / "link").symlink_to("same")
    release, new, digest = arrived(new)
    ran = here.run(steps.check(here.layout, release, digest, copies=copies))
    assert (ran.code, tuple(ran.answer)) == (0, ())
    assert (new / "same").samefile(old / "same") is not copies
    assert (mode(new / "run"), os.readlink(new / "link")) == (0o755, "same")
    assert [path.name for path in (here.root / "releases").iterdir() if path.name.endswith(".copy")] == []


def test_shared_paths_are_linked_wherever_they_lie(here: Here) -> None:
    """Relatively; directories are made once; doing it twice changes nothing."""
    directory = here.release(A)
    (here.root / "shared" / ".env").write_text("SECRET=1")
    settings = config(root=here.root, shared={"files": [".env"], "dirs": ["media", "var/deep/cache"]})
    for _ in range(2):
        ran = here.run(steps.link(settings, A))
        assert (ran.code, ran.err) == (0, "")
        assert os.readlink(directory / ".env") == "../../shared/.env"
        assert os.readlink(directory / "var" / "deep" / "cache") == "../../../../shared/var/deep/cache"
        assert (directory / "media").resolve() == here.root / "shared" / "media"
        (directory / "var" / "deep" / "cache" / "kept").touch()
    assert os.listdir(here.root / "shared" / "media") == []
    assert os.listdir(here.root / "shared" / "var" / "deep" / "cache") == ["kept"]


def test_a_missing_shared_file_is_refused_before_anything_is_linked(here: Here) -> None:
    """66, with its name."""
    directory = here.release(A)
    settings = config(root=here.root, shared={"files": ["etc/secret.env"], "dirs": ["media"]})
    ran = here.run(steps.link(settings, A))
    assert (ran.code, ran.err) == (66, "link: shared/etc/secret.env is missing\n")
    assert os.listdir(directory) == ["version"]


def test_shared_paths_may_have_any_name(here: Here) -> None:
    """And none of it is run."""
    directory = here.release(A)
    names = [name.replace("/", "_") for name in HOSTILE]
    for name in names:
        (here.root / "shared" / name).write_text("x")
    dirs = [f"{name}d/-x" for name in names]
    ran = here.run(here.step("link", release=A, files=names, dirs=dirs))
    assert (ran.code, ran.err) == (0, "")
    assert all((directory / name).read_text() == "x" for name in names)
    assert all((directory / name).is_symlink() and (directory / name).is_dir() for name in dirs)
    assert not list(here.base.rglob("pwned"))


def test_a_sealed_release_is_read_only_and_then_complete(account: Here) -> None:
    """What is shared stays writable; sealing twice changes nothing."""
    directory = account.release(A, {"a": "one", "b/c": "two"}, complete=False)
    (directory / "b" / "c").chmod(0o755)
    media = account.root / "shared" / "media"
    media.mkdir()
    (media / "upload").write_text("x")
    (directory / "media").symlink_to("../../shared/media")
    (directory / "gone").symlink_to("nowhere")
    release, directory, digest = arrived(directory)
    account.own()
    assert account.run(steps.check(account.layout, release, digest, copies=False)).code == 0
    for _ in range(2):
        ran = account.run(steps.seal(account.layout, release, again=True))
        assert (ran.code, ran.err) == (0, "")
        assert [mode(directory / name) for name in ("", "a", "b", "b/c")] == [0o555, 0o444, 0o555, 0o555]
        assert (mode(media), mode(media / "upload")) == (0o755, 0o644)
    assert [path.name for path in (account.private / "manifests").iterdir()] == [f"{release}.gz"]
    assert tuple(account.run(steps.verify(account.layout, release)).answer) == ()


def test_what_prepare_changed_of_what_was_shipped_is_told_and_not_sealed(here: Here) -> None:
    """What it made beside is its own."""
    release, directory, digest = arrived(here.release(A, {"a": "one", "b": "two"}, complete=False))
    assert here.run(steps.check(here.layout, release, digest, copies=True)).code == 0
    (directory / "a").write_text("One")
    (directory / "made").write_text("new")
    ran = here.run(steps.seal(here.layout, release, again=True))
    assert (ran.code, tuple(ran.answer)) == (steps.DIFFERS, (("changed", "a"),))
    assert not (here.private / "manifests" / f"{release}.gz").exists()


def test_a_release_that_cannot_be_made_read_only_is_not_complete(here: Here) -> None:
    """The manifest comes last."""
    (here.private / "manifests" / f".{A}.gz").write_text("x")
    assert here.run(steps.seal(here.layout, A, again=False)).code != 0
    assert not (here.private / "manifests" / f"{A}.gz").exists()


def test_what_a_manifest_does_not_tell_of_a_release_is_told_by_the_host(here: Here) -> None:
    """Where its links lead, in the order of the manifest and whatever they are called; what it says of itself."""
    directory = here.release(A, {"file": "x", "RELEASE": "{}"}, complete=False)
    for name in HOSTILE:
        (directory / f"l{name.replace('/', '_')}"[:200]).symlink_to(name)
    release = here.complete(directory)
    wanted = [
        os.readlink(directory.parent / release.name / e.path)
        for e in manifest(directory.parent / release.name).entries
        if e.kind == LINK
    ]
    ran = here.run(here.step("original", release=release))
    assert (ran.code, ran.err) == (0, "")
    assert [os.fsdecode(base64.b64decode(text)) for text in ran.answer.all("target")] == wanted
    assert base64.b64decode(ran.answer.one("record")) == b"{}"


def test_what_is_told_is_not_lost_behind_a_line_that_a_crash_cut_short(here: Here) -> None:
    """Each on a line of its own, before the deploy that writes it down."""
    (here.private / "journal.jsonl").write_text('{"event":"li')
    ran = here.run(steps.begin(here.layout, '{"event":"deploy","deploy":2', ('{"event":"elsewhere"}', '{"a":"it\'s"}')))
    assert (ran.code, ran.err) == (0, "")
    lines = (here.private / "journal.jsonl").read_text().splitlines()
    assert lines[:3] == ['{"event":"li', '{"event":"elsewhere"}', '{"a":"it\'s"}']
    assert lines[3].startswith('{"event":"deploy"')
