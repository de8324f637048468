"""How a gunicorn is started: what its command line says of a reload, and how another release is booted with it."""

import re
import shlex
from collections.abc import Iterable
from itertools import takewhile
from pathlib import PurePosixPath

from ..layout import Release

# Options with a value that a rehearsal must not take over from the running master: where it listens, what it writes.
OURS = (
    "-b",
    "--bind",
    "-p",
    "--pid",
    "-w",
    "--workers",
    "--chdir",
    "--log-file",
    "--error-logfile",
    "--access-logfile",
    "--control-socket",
)
WRITTEN = ("-p", "--pid", "--log-file", "--error-logfile", "--access-logfile")
FLAGS = ("-D", "--daemon", "--reload")
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
SHORT = re.compile(r"-([DR]*)([bpw]?)(.*)", re.DOTALL)  # flags, then an option with its value behind it
LEADING = re.compile(r"(exec|env)$|[A-Za-z_]\w*=").match
HIDDEN = "gunicorn: "  # what setproctitle makes of a command line
# What starts something and returns, whatever that does.
LAUNCHERS = frozenset({"daemon", "daemonize", "screen", "setsid", "start-stop-daemon", "systemd-run", "tmux"})


def unsafe(words: list[str], arguments: str, roots: tuple[PurePosixPath, ...]) -> Iterable[str]:
    """Why a master with this command line would not load a new release at a HUP; *arguments* is GUNICORN_CMD_ARGS.

    >>> roots = (PurePosixPath("/srv/shop"),)
    >>> list(unsafe("/srv/shop/current/.venv/bin/python -m gunicorn --chdir /srv/shop/current app".split(), "", roots))
    []
    """
    if not words:
        return
    if words[0].startswith(HIDDEN):
        yield 'setproctitle hides how it was started: uninstall that, or let systemd run it (kind = "systemd")'
        return
    every = list(_apart([*words, *_words(arguments)]))
    if _keeps_one_release(words, roots):
        yield (
            "as `current/.venv/bin/gunicorn` it runs the interpreter in its first line, that of one release: it would"
            " keep that release's dependencies, and die when it is pruned; start `current/.venv/bin/python"
            " current/.venv/bin/gunicorn …`"
        )
    chdir = [value for option, value in _options(every) if option == "--chdir"]
    if not chdir or chdir[-1].rstrip("/") not in ("current", *(f"{root}/current" for root in roots)):
        yield f"it has no `--chdir {roots[0]}/current`: after a HUP it would go on with the old code"
    for option, value in _options(every):
        if option in WRITTEN and value and not value.startswith(("/", "-")):
            yield f"`{option} {value}` is relative, so it lies in the release that is live: give the whole path"
    if "--preload" in every:
        yield "with --preload a HUP never loads new code"


def misleading(command: str, roots: tuple[PurePosixPath, ...], *, legibly: bool) -> Iterable[str]:
    """Why what this *command* starts would not take the next release, or would never be taken for started.

    *legibly*: it must show how gunicorn is started, since nothing runs that could be judged in its place.

    >>> list(misleading("current/bin/python -m gunicorn --chdir current app", (PurePosixPath("/a"),), legibly=True))
    ['`start` must return, and this gunicorn would stay in the foreground: add `--daemon`']
    """
    words = started(command, roots[0])
    arguments = next((word.partition("=")[2] for word in words if word.startswith("GUNICORN_CMD_ARGS=")), "")
    words = words[len(list(takewhile(ASSIGNMENT.match, words))) :]
    if not any(_is_gunicorn(word) for word in words):
        if legibly:
            yield "`start` does not show gunicorn's command line, by which it is judged and rehearsed: write it there"
        return
    yield from (f"`start`: {why}" for why in unsafe(words, arguments, roots))
    if not _returns(command, [*words, *_words(arguments)]):
        yield "`start` must return, and this gunicorn would stay in the foreground: add `--daemon`"


def _is_gunicorn(word: str) -> bool:
    return PurePosixPath(word).name.startswith("gunicorn")


def _keeps_one_release(words: list[str], roots: tuple[PurePosixPath, ...]) -> bool:
    """Is it the interpreter of one release that runs, or that a program or an activated environment names?"""
    below = tuple(f"{root}{place}/" for root in ("", *map(str, roots)) for place in ("/current", "/releases"))
    below += ("current/", "releases/")

    def inside(number: int) -> bool:
        word = words[number].removeprefix("./")
        return word.startswith(below) or (not word.startswith("/") and "/" in word and "cd" in words[:number])

    if words[0].removeprefix("./").startswith(("releases/", *(f"{root}/releases/" for root in roots))):
        return True
    program = next((n for n, word in enumerate(words) if re.match("python|pypy|gunicorn", PurePosixPath(word).name)), 0)
    activated = (n for n in range(program) if words[n].rstrip(";").endswith("/activate"))
    return any(map(inside, activated)) or (_is_gunicorn(words[program]) and inside(program))


def _returns(command: str, words: list[str]) -> bool:
    """Does it leave gunicorn in the background, for all that can be seen? A file may say so, too."""
    every = list(_apart(words))
    if {"-D", "--daemon"} & set(every) or any(word.startswith(("-c", "--config")) for word in every):
        return True
    tokens = shlex.shlex(command, posix=True, punctuation_chars=True)
    tokens.whitespace_split = True
    return "&" in tokens or any(PurePosixPath(word).name in LAUNCHERS for word in words)


def rehearsed(words: list[str], roots: tuple[PurePosixPath, ...], release: Release) -> str:
    """The command line of the running master, changed so that it boots *release* on ``$SOCKET`` with one worker."""
    directory = f"{roots[0]}/releases/{release}"
    variables = list(takewhile(ASSIGNMENT.match, words))
    moved = [_moved(word, roots, directory) for word in words[len(variables) :]]
    named = (number for number, word in enumerate(moved, 1) if PurePosixPath(word).name.startswith("gunicorn"))
    program = next(named, 1)
    options = ["--workers", "1", "--chdir", directory, *_without_ours(_apart(moved[program:]))]
    return f'{shlex.join([*variables, *moved[:program]])} --bind "unix:$SOCKET" {shlex.join(options)}'


def _moved(word: str, roots: tuple[PurePosixPath, ...], directory: str) -> str:
    """The same path below *directory* when it is one through ``current``, also behind its option.

    >>> _moved("--config=/a/current/conf.py", (PurePosixPath("/a"),), "/a/releases/x")
    '--config=/a/releases/x/conf.py'
    """
    whole = "|".join(re.escape(f"{root}/current") for root in roots)
    through = rf"((?:-[A-Za-z]|--[a-z-]+=)?(?:file:)?)(?:(?:{whole})(?=/|$)|current(?=/))"
    found = re.match(through, word)
    return f"{found[1]}{directory}{word[found.end() :]}" if found else word


def started(command: str, root: PurePosixPath) -> list[str]:
    """The words of a start command, which runs in *root*, as the master will have them.

    >>> started('exec current/.venv/bin/python current/.venv/bin/gunicorn --chdir "$PWD/current"', PurePosixPath("/a"))
    ['current/.venv/bin/python', 'current/.venv/bin/gunicorn', '--chdir', '/a/current']
    """
    words = [word.replace("${PWD}", str(root)).replace("$PWD", str(root)) for word in _words(command)]
    variables = list(takewhile(LEADING, words))
    return [word for word in variables if "=" in word] + words[len(variables) :]


def logged(command: str, root: PurePosixPath) -> str:
    """The file that a master of this start *command* writes its words to; empty where the command names none.

    >>> logged('current/bin/python -m gunicorn --log-file "$PWD/shared/gunicorn.log" app', PurePosixPath("/a"))
    '/a/shared/gunicorn.log'
    """
    named = [value for option, value in _options(started(command, root)) if option in ("--log-file", "--error-logfile")]
    return named[-1] if named and named[-1].startswith("/") else ""


def _apart(words: Iterable[str]) -> Iterable[str]:
    """The same with short options and their values apart, as gunicorn's parser has them.

    >>> list(_apart(["-Dw4", "-b127.0.0.1:80", "-w", "2", "--bind", "x", "-kgevent"]))
    ['-D', '-w', '4', '-b', '127.0.0.1:80', '-w', '2', '--bind', 'x', '-kgevent']
    """
    for word in words:
        found = SHORT.fullmatch(word)
        if not found or not any(found.group(1, 2)):
            yield word
            continue
        flags, option, rest = found.groups()
        yield from (f"-{flag}" for flag in flags)
        if option:
            yield f"-{option}"
        if rest:
            yield rest.removeprefix("=") if option else f"-{rest}"


def _without_ours(words: Iterable[str]) -> Iterable[str]:
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in OURS:
            skip = True
        elif word not in FLAGS and not word.startswith(tuple(f"{option}=" for option in OURS)):
            yield word


def _options(words: list[str]) -> Iterable[tuple[str, str]]:
    for word, following in zip(words, [*words, ""][1:], strict=True):
        option, equals, value = word.partition("=")
        yield option, value if equals else following


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []
