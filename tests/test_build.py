"""What is shipped is what was asked for: nothing of it is guessed, and nothing slips in."""

import gc
import hashlib
import os
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from releases.build import Build, build
from releases.errors import BuildFailed, Refused, UsageError
from releases.manifest import FILE, FOLDER, LINK
from tests.app import until


@dataclass(frozen=True)
class BuildSettings:
    """As `releases.config` has them."""

    source: str = "git"
    command: str = ""
    test: str = ""
    output: str = "."
    exclude: tuple[str, ...] = ()
    timeout_s: float = 60.0


@dataclass(frozen=True)
class Shared:
    """As `releases.config` has them."""

    files: tuple[str, ...] = ()
    dirs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """As much of it as a build looks at."""

    build: BuildSettings = field(default_factory=BuildSettings)
    shared: Shared = field(default_factory=Shared)


FOLDER_AS_IT_IS = Config(BuildSettings("folder"))


def made(
    project: Path,
    revision: str = "HEAD",
    *,
    shared: Shared = Shared(),
    files: Mapping[str, bytes] = {},
    said: list[str] | None = None,
    **settings: object,
) -> Build:
    """Build *project* with these `[build]` settings."""
    config = Config(BuildSettings(**settings), shared)
    return build(project, config, revision, files=files, say=([] if said is None else said).append)


def folder(project: Path, **settings: object) -> Build:
    """Build *project* as a folder."""
    return made(project, source="folder", **settings)


def paths(built: Build) -> list[str]:
    """What would be shipped."""
    return [entry.path for entry in built.manifest.entries]


def git(project: Path, *words: str) -> str:
    """Run git there, with nobody's configuration."""
    command = ["git", "-c", "user.name=n", "-c", "user.email=e", "-c", "init.defaultBranch=main", *words]
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    return subprocess.run(command, cwd=project, env=env, check=True, capture_output=True, text=True).stdout.strip()


def commit(project: Path, message: str = "a change") -> str:
    """Commit all there is."""
    git(project, "add", "-A")
    git(project, "commit", "-qm", message)
    return git(project, "rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with one commit."""
    project = tmp_path / "shop"
    (project / "app").mkdir(parents=True)
    (project / "app" / "main.py").write_text("print('hello')\n")
    (project / "run").write_text("#!/bin/sh\n")
    (project / "run").chmod(0o755)
    (project / "link").symlink_to("app/main.py")
    git(project, "init", "-q")
    commit(project, "Sell things\n\nAt last.")
    return project


# git


def test_a_commit_is_shipped_as_git_knows_it(project: Path):
    """Files, folders, links and the executable bit; and what the commit says of itself."""
    built = made(project)
    assert built.revision == git(project, "rev-parse", "HEAD")
    assert (built.subject, built.dirty) == ("Sell things", False)
    assert [(e.path, e.mode) for e in built.manifest.entries] == [
        ("app", FOLDER | 0o755),
        ("app/main.py", FILE | 0o644),
        ("link", LINK | 0o777),
        ("run", FILE | 0o755),
    ]
    for entry in built.manifest.entries:
        if entry.kind == FILE:
            content = (built.tree / entry.path).read_bytes()
            assert (entry.sha256, entry.size_bytes) == (hashlib.sha256(content).hexdigest(), len(content))
        elif entry.kind == LINK:
            assert (entry.sha256, entry.size_bytes) == (hashlib.sha256(b"app/main.py").hexdigest(), 11)
        else:
            assert (entry.sha256, entry.size_bytes) == ("-", 0)


def test_the_same_commit_is_the_same_release_whatever_the_umask_is(project: Path):
    """Two people who deploy it make the same digest."""
    git(project, "config", "tar.umask", "0077")
    digests = set()
    for umask in (0o022, 0o077, 0o002):
        before = os.umask(umask)
        try:
            digests.add(made(project).manifest.digest)
        finally:
            os.umask(before)
    assert len(digests) == 1


def test_what_is_not_committed_is_not_shipped_but_told(project: Path):
    """Changed and new files make the work tree dirty; ignored ones don't."""
    (project / ".gitignore").write_text("*.log\n")
    commit(project)
    (project / "debug.log").write_text("x")
    assert not made(project).dirty
    (project / "new.py").write_text("x")
    built = made(project)
    assert built.dirty
    assert not {"new.py", "debug.log"} & set(paths(built))


@pytest.mark.parametrize("name", ["v1", "other", "HEAD~1", "short"])
def test_any_name_of_a_commit_will_do(name: str, project: Path):
    """Tags (annotated ones too), branches, ancestors and abbreviations."""
    first = git(project, "rev-parse", "HEAD")
    git(project, "tag", "-a", "v1", "-m", "one")
    git(project, "branch", "other")
    (project / "more").write_text("x")
    commit(project)
    assert made(project, first[:10] if name == "short" else name).revision == first


@pytest.mark.parametrize(
    ("revision", "hint"),
    [
        ("relase-2", "did you mean `release-2`?"),
        ("feature", "did you mean `origin/feature`?"),
        ("zzzzzz", "`git fetch`"),
        ("", "`git fetch`"),
        ("--all", "`git fetch`"),
        ("^HEAD", "`git fetch`"),
        ("HEAD:app", "`git fetch`"),
        ("HEAD..main", "`git fetch`"),
    ],
)
def test_a_revision_that_does_not_exist_is_refused_with_the_nearest(revision: str, hint: str, project: Path):
    """A slip of the finger ships nothing, and an option is no revision."""
    git(project, "branch", "release-2")
    git(project, "update-ref", "refs/remotes/origin/feature", "HEAD")
    with pytest.raises(Refused, match="no such revision: ") as refused:
        made(project, revision)
    assert hint in refused.value.hint


def test_a_shallow_clone_says_that_it_is_one(project: Path, tmp_path: Path):
    """As CI makes them."""
    (project / "more").write_text("x")
    commit(project)
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{project}", "clone")
    with pytest.raises(Refused) as refused:
        made(tmp_path / "clone", "HEAD~1")
    assert "--unshallow" in refused.value.hint


def test_a_subdirectory_is_a_project_of_its_own(project: Path):
    """Only it is shipped, from its own top, and only its changes make it dirty."""
    (project / "unrelated").write_text("x")
    built = made(project / "app")
    assert paths(built) == ["main.py"]
    assert not built.dirty


def test_a_subdirectory_that_the_commit_lacks_has_nothing_to_ship(project: Path):
    """Whatever lies in the work tree."""
    (project / "later").mkdir()
    (project / "later" / "f").write_text("x")
    with pytest.raises(Refused):
        made(project / "later")


@pytest.mark.parametrize("init", [False, True])
def test_without_a_commit_the_hint_is_a_folder(init: bool, tmp_path: Path):
    """Neither a plain folder nor an empty repository has a revision."""
    if init:
        git(tmp_path, "init", "-q")
    with pytest.raises(Refused) as refused:
        made(tmp_path)
    assert ("has no commits" if init else "is not a git repository") in str(refused.value)
    assert 'source = "folder"' in refused.value.hint


def test_a_hook_of_another_repository_does_not_mislead(project: Path, monkeypatch: pytest.MonkeyPatch):
    """git tells its hooks by the environment which repository they are in."""
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nonexistent")
    built = made(project / "app")
    assert (paths(built), built.dirty) == (["main.py"], False)


def test_a_submodule_is_refused_by_name_unless_excluded(project: Path):
    """It would be an empty folder."""
    head = git(project, "rev-parse", "HEAD")
    git(project, "update-index", "--add", "--cacheinfo", f"160000,{head},vendor/lib")
    git(project, "commit", "-qm", "a submodule")
    with pytest.raises(Refused, match="'vendor/lib' is a submodule"):
        made(project)
    assert "vendor/lib" not in paths(made(project, exclude=("vendor/",)))


def test_a_pointer_of_git_lfs_is_refused_by_name_unless_excluded(project: Path):
    """It would be 130 bytes of text where a picture should be."""
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 5\n"
    (project / "app" / "logo.png").write_text(pointer)
    commit(project)
    with pytest.raises(Refused, match=r"'app/logo.png' is a pointer of Git LFS"):
        made(project)
    assert "app/logo.png" not in paths(made(project, exclude=("*.png",)))


def test_export_ignore_is_honoured(project: Path):
    """As ``git archive`` does."""
    (project / ".gitattributes").write_text("run export-ignore\n.gitattributes export-ignore\n")
    commit(project)
    assert paths(made(project)) == ["app", "app/main.py", "link"]


HOSTILE = ('it\'s $(a) "b"', "two\nlines", "back\\slash", "naïve", os.fsdecode(b"\xff\xfe"), "-rf", "..x", "n" * 255)


@pytest.mark.parametrize("source", ["git", "folder"])
@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_is_shipped(source: str, name: str, project: Path):
    """Quotes, newlines, bytes that are no text, and as long as they may be."""
    (project / "deep" / name).mkdir(parents=True)
    (project / "deep" / name / name).write_text("x")
    commit(project)
    built = made(project, source=source)
    assert {f"deep/{name}", f"deep/{name}/{name}"} <= set(paths(built))


def test_what_was_exported_is_removed_at_exit(project: Path, tmp_path: Path):
    """Read-only folders too; and not before, since it is read when it is sent."""
    program = """
import sys; sys.path.insert(0, "tests")
from pathlib import Path
from releases.build import build
from tests.app import until
from tests.test_build import BuildSettings, Config
settings = BuildSettings(command="mkdir cache && touch cache/f && chmod 555 cache")
print(build(Path(sys.argv[1]), Config(settings), say=print).tree.is_dir())
"""
    (tmp_path / "tmp").mkdir()
    env = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    ended = subprocess.run(
        [sys.executable, "-c", program, str(project)], env=env, check=True, capture_output=True, text=True
    )
    assert ended.stdout == "True\n"
    assert os.listdir(tmp_path / "tmp") == []


# commands


def test_what_the_commands_make_is_shipped(project: Path):
    """Built from the export, in order: first the command, then the test."""
    said: list[str] = []
    built = made(
        project,
        command='echo "built $RELEASE_REVISION" >app/version; echo one; echo two >&2; printf three',
        test="cat app/version; pwd",
        said=said,
    )
    assert (built.tree / "app/version").read_text() == f"built {built.revision}\n"
    assert "app/version" in paths(built)
    assert said == ["one", "two", "three", f"built {built.revision}", str(built.tree)]
    assert not (project / "app" / "version").exists()


def test_output_arrives_as_it_is_printed(project: Path):
    """Who waits for ``npm ci`` sees what it does."""
    moments = []
    build(
        project,
        Config(BuildSettings(command="echo a; sleep 0.4; echo b")),
        say=lambda line: moments.append(time.monotonic()),
    )
    assert moments[1] - moments[0] > 0.3


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo no; echo; exit 3", "build: `echo no; echo; exit 3` failed: exit 3: no"),
        ("exit 3", "build: `exit 3` failed: exit 3"),
        ("kill -9 $$", "build: `kill -9 $$` failed: signal 9"),
        ("false\nexit 4", "build: `false …` failed: exit 4"),
        ("printf '\\377'; exit 1", "build: `printf '\\377'; exit 1` failed: exit 1: \N{REPLACEMENT CHARACTER}"),
    ],
)
def test_a_command_that_fails_is_named_with_its_last_line(command: str, message: str, project: Path):
    """One line tells what and why."""
    with pytest.raises(BuildFailed) as failed:
        made(project, command=command)
    assert str(failed.value) == message
    assert "not committed" in failed.value.hint


def test_a_test_that_fails_stops_the_deploy(project: Path):
    """And says that it was the test."""
    with pytest.raises(BuildFailed, match="test: `echo 1 failed; exit 1` failed: exit 1: 1 failed"):
        made(project, command="true", test="echo 1 failed; exit 1")


def test_no_test_runs_after_a_failed_command(project: Path):
    """The first failure ends it."""
    said: list[str] = []
    with pytest.raises(BuildFailed, match="build: "):
        made(project, command="false", test="echo tested", said=said)
    assert said == []


def alive(pid: str) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("stubborn", ["", "trap '' TERM; "])
def test_a_command_that_takes_too_long_ends_with_all_it_started(stubborn: str, project: Path):
    """Whether it listens or not."""
    said: list[str] = []
    command = f"{stubborn}sleep 60 & echo $!; echo $$; sleep 60; wait"
    with pytest.raises(BuildFailed, match=r"was not done after 0.3 s"):
        made(project, command=command, said=said, timeout_s=0.3)
    assert len(said) == 2
    until(lambda: not any(alive(pid) for pid in said), what="the end of all that was started")


def test_ctrl_c_ends_all_that_a_command_started(project: Path):
    """Nothing builds on behind the prompt."""
    pids: list[str] = []

    def interrupt(line: str) -> None:
        pids.append(line)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(project, Config(BuildSettings(command="sleep 60 & echo $!; wait")), say=interrupt)
    gc.collect()
    assert pids
    until(lambda: not any(alive(pid) for pid in pids), what="the end of all that was started")


def test_a_daemon_that_keeps_the_pipe_open_holds_nothing_up(project: Path):
    """Gradle and others leave one behind."""
    said: list[str] = []
    began = time.monotonic()
    made(project, command="sleep 20 & echo $!", said=said)
    assert time.monotonic() - began < 10
    os.kill(int(said[0]), 9)


def test_a_command_reads_no_input(project: Path):
    """One that asks gets an end of file, not a deploy that hangs."""
    made(project, command="! read answer")


# output


def test_only_the_output_is_shipped(project: Path):
    """From its own top."""
    built = made(project, command="mkdir -p web/dist && echo hi >web/dist/index.html", output="web/dist")
    assert paths(built) == ["index.html"]
    assert (built.tree / "index.html").read_text() == "hi\n"


@pytest.mark.parametrize(
    ("command", "output", "why"),
    [
        ("true", "dist", "no such directory: 'dist'"),
        ("touch dist", "dist", "no such directory: 'dist'"),
        ("ln -s /etc dist", "dist", "leads out"),
        ("true", "..", "leads out"),
        ("true", "/etc", "leads out"),
    ],
)
def test_an_output_that_is_not_there_or_elsewhere_is_refused(command: str, output: str, why: str, project: Path):
    """A build that made nothing is not a release of nothing."""
    with pytest.raises(Refused, match=why):
        made(project, command=command, output=output)


# folders


def test_a_folder_is_read_in_place(project: Path):
    """What is not committed included, and git's own folder never."""
    (project / "new.py").write_text("x")
    (project / "vendor" / "lib" / ".git").mkdir(parents=True)
    built = folder(project)
    assert (built.tree, built.revision, built.subject, built.dirty) == (project, "folder", "", False)
    assert paths(built) == ["app", "app/main.py", "link", "new.py", "run", "vendor", "vendor/lib"]


def test_empty_folders_and_permissions_are_shipped(tmp_path: Path):
    """A folder that an application wants to find is there."""
    (tmp_path / "spool").mkdir(mode=0o750)
    (tmp_path / "key").write_text("x")
    (tmp_path / "key").chmod(0o4640)
    assert [(e.path, e.mode) for e in folder(tmp_path).manifest.entries] == [
        ("key", FILE | 0o640),
        ("spool", FOLDER | 0o750),
    ]


def test_what_is_shared_or_excluded_is_not_shipped(tmp_path: Path):
    """Patterns read as in a .gitignore; an excluded folder is not even entered."""
    for path in ("a.log", "keep.log", "tests/t.py", "lib/tests/t.py", "media/1.png", "lib/media/2.png", ".env"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    (tmp_path / "two\nlines").mkdir()
    (tmp_path / "two\nlines" / "a.log").write_text("x")
    (tmp_path / "tests" / "out").symlink_to("/etc")
    os.mkfifo(tmp_path / "tests" / "fifo")
    built = folder(
        tmp_path,
        exclude=("*.log", "!keep.log", "/tests/", "!/tests/t.py", "# a comment"),
        shared=Shared((".env",), ("media/",)),
    )
    assert paths(built) == [
        "keep.log",
        "lib",
        "lib/media",
        "lib/media/2.png",
        "lib/tests",
        "lib/tests/t.py",
        "two\nlines",
    ]


def test_a_pattern_that_is_none_is_a_mistake_of_the_config(tmp_path: Path):
    """It is named."""
    with pytest.raises(UsageError, match=r"\[build\] exclude: .*'!'"):
        folder(tmp_path, exclude=("!",))


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "d/../../outside", "up/../outside"])
def test_a_link_out_of_the_release_is_refused_by_name(target: str, tmp_path: Path):
    """It would name something else on a host."""
    (tmp_path / "tree" / "d" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "d" / "deep" / "up").symlink_to("../..")
    (tmp_path / "tree" / "d" / "deep" / "bad").symlink_to(target)
    (tmp_path / "tree" / "bad").symlink_to("d/deep/up/../outside" if target.startswith("up") else target)
    with pytest.raises(Refused, match="bad' is a link out of the release"):
        folder(tmp_path / "tree")


def test_a_link_to_what_is_shared_is_shipped(tmp_path: Path):
    """It leads somewhere on the host."""
    (tmp_path / "uploads").symlink_to("media/uploads")
    assert paths(folder(tmp_path, shared=Shared((), ("media",)))) == ["uploads"]


def test_a_socket_and_a_fifo_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Neither can be shipped."""
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "d" / "pipe")
    with pytest.raises(Refused, match="'d/pipe' is a fifo"):
        folder(tmp_path)
    os.unlink(tmp_path / "d" / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(tmp_path)
        listening.bind("d/sock")
        with pytest.raises(Refused, match="'d/sock' is a socket"):
            folder(tmp_path)


@pytest.mark.parametrize("path", ["f", "d"])
def test_what_cannot_be_read_is_refused_by_name(path: str, tmp_path: Path):
    """It is not left out."""
    (tmp_path / "f").write_text("x")
    (tmp_path / "d").mkdir()
    (tmp_path / path).chmod(0)
    if os.access(tmp_path / path, os.R_OK):
        pytest.skip("root may read everything")
    with pytest.raises(Refused, match=f"'{path}' can't be read: Permission denied"):
        folder(tmp_path)


@pytest.mark.parametrize("name", ["RELEASE", ".release", ".manifest.gz"])
def test_the_names_of_a_release_are_reserved(name: str, tmp_path: Path):
    """Only at the top, and only if shipped."""
    (tmp_path / "d" / name).mkdir(parents=True)
    assert paths(folder(tmp_path)) == ["d", f"d/{name}"]
    (tmp_path / name).mkdir()
    with pytest.raises(Refused, match=f"'{name}' is reserved"):
        folder(tmp_path)
    assert paths(folder(tmp_path, exclude=(f"/{name}",))) == ["d", f"d/{name}"]


def test_nothing_is_not_a_release(tmp_path: Path):
    """Start scripts alone are none either."""
    (tmp_path / "f").write_text("x")
    with pytest.raises(Refused, match="nothing to ship"):
        folder(tmp_path, exclude=("f",), files={".release/web": b"x"})


def test_start_scripts_are_part_of_the_manifest(tmp_path: Path):
    """Executable, with the folders above them, and so part of the digest."""
    (tmp_path / "f").write_text("x")
    script = b"#!/bin/sh\nexec web\n"
    built = folder(tmp_path, files={".release/web": script})
    assert [(e.path, e.mode) for e in built.manifest.entries] == [
        (".release", FOLDER | 0o755),
        (".release/web", FILE | 0o755),
        ("f", FILE | 0o644),
    ]
    assert built.manifest.entries[1].sha256 == hashlib.sha256(script).hexdigest()
    assert built.files == {".release/web": script}
    assert not (tmp_path / ".release").exists()
    assert built.manifest.digest != folder(tmp_path, files={".release/web": b"other"}).manifest.digest


@pytest.mark.parametrize("path", ["f", "f/web"])
def test_a_start_script_does_not_hide_a_file(path: str, tmp_path: Path):
    """One of the two would be lost."""
    (tmp_path / "f").write_text("x")
    with pytest.raises(Refused, match="'f' is "):
        folder(tmp_path, files={path: b"x"})


# artifacts


def test_an_artifact_is_shipped_as_it_was_packed(tmp_path: Path):
    """With its top folder; and its name and digest are its revision."""
    (tmp_path / "made" / "site-1.0").mkdir(parents=True)
    (tmp_path / "made" / "site-1.0" / "index.html").write_text("hi")
    (tmp_path / "dist").mkdir()
    with tarfile.open(tmp_path / "dist" / "site.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "made", ".")
    built = made(tmp_path, source="dist/site.tar.gz", command="ls")
    digest = hashlib.sha256((tmp_path / "dist" / "site.tar.gz").read_bytes()).hexdigest()
    assert paths(built) == ["site-1.0", "site-1.0/index.html"]
    assert built.revision == f"artifact:site.tar.gz@{digest[:12]}"
    assert (built.subject, built.dirty) == ("", False)
    assert paths(made(tmp_path, source="dist/site.tar.gz", output="site-1.0")) == ["index.html"]


def test_an_artifact_that_is_not_there_is_refused(tmp_path: Path):
    """By its path."""
    with pytest.raises(Refused, match=r"no such artifact: .*/dist/site\.zip"):
        made(tmp_path, source="dist/site.zip")
