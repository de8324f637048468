"""What a person is owed when a command ends badly: one line, a hint that helps, the exit code, and nothing changed."""

from pathlib import Path

from tests.app import App, Result

OUTCOMES = {2: "refused", 10: "refused", 11: "unchanged", 12: "reverted", 75: "locked"}
LAST_WORDS = ("switchover: ", "failed, nothing was switched", "failed, taken back")


def refused(
    app: App, *words: str, code: int = 10, says: tuple[str, ...], hint: str = "", limit_s: float = 30
) -> Result:
    """Run ``switchover WORDS``: it ends with *code*, says all of *says* in one line, and leaves the root as it was."""
    before = listing(app.root)
    result = app.run(*words, limit_s=limit_s)
    told(result, code=code, says=says, hint=hint)
    changed = set(before) ^ set(listing(app.root))
    assert not changed, changed
    return result


def told(result: Result, *, code: int, says: tuple[str, ...], hint: str = "") -> None:
    """One line of *result* is its error, with all of *says*; *hint* is in the hint below it."""
    assert result.code == code, result.err
    assert "Traceback" not in result.out + result.err
    lines = result.err.splitlines()
    errors = [line for line in lines if line.startswith(LAST_WORDS)]
    assert len(errors) == 1, result.err
    assert not [word for word in says if word not in errors[0]], result.err
    hints = [line for line in lines[lines.index(errors[0]) :] if line.startswith("  hint: ")]
    assert len(hints) == bool(hint), result.err
    assert hint in "".join(hints), result.err


def hinted(result: Result) -> str:
    """The hint of *result*, without the word."""
    return next(line.removeprefix("  hint: ") for line in result.err.splitlines() if line.startswith("  hint: "))


def listing(root: Path) -> list[tuple[str, str]]:
    """What lies below *root*, but for the lock and the empty directories that a session makes."""
    if not root.is_dir():
        return [(str(root), root.read_text() if root.exists() else "")]
    return sorted((str(path.relative_to(root)), _content(path)) for path in root.rglob("*") if not _is_ours(path, root))


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    return f"{path.stat().st_mode:o}" if path.is_dir() else f"{path.stat().st_mode:o} {path.read_bytes()!r}"


def _is_ours(path: Path, root: Path) -> bool:
    if path.parent.name == ".switchover" and path.name in ("lock", "lock.info"):
        return True
    made = (".switchover", ".switchover/armed", ".switchover/confirmed", ".switchover/manifests", "releases", "shared")
    return str(path.relative_to(root)) in made and path.is_dir() and not path.is_symlink()
