"""command: any other server; one command of yours reloads it, another prints the name of the release that runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from .. import config
from ..answer import Answer
from ..facts import Facts, Running
from ..layout import Release
from ..plan import Step, Verdict
from .kind import Switch, rehearsal


@dataclass(frozen=True, slots=True)
class Command:
    """A process that only its own commands know."""

    name: str
    root: PurePosixPath
    settings: config.Command

    def files(self) -> Mapping[str, bytes]:
        """Nothing."""
        return {}

    def values(self, switch: Switch | None = None) -> Mapping[str, object]:
        """Its proving command, and where it is asked."""
        health = self.settings.health
        return {
            "name": self.name,
            "facts": "remote/command/facts.sh.j2",
            "prove": self.settings.prove,
            "url": health.url if health else "",
            "public_url": health.url if health else "",
            "public_socket": "",
            "host": health.host if health else "",
            "timeout_s": health.timeout_s if health else 5,
            "wait_s": round(health.wait_s) if health else 30,
            "prove_s": round(health.wait_s) if health else 30,
        }

    def conditions(self, facts: Facts) -> Iterable[str]:
        """None: we know nothing of it."""
        return ()

    def rehearse(self, switch: Switch, facts: Facts) -> tuple[Step, ...]:
        """By a command of its own, if it has one; with a health it listens on ``$SOCKET``."""
        command = self.settings.rehearse
        if not command:
            return ()
        values = dict(self.values(switch))
        if "$SOCKET" not in command:
            values["url"] = ""
        return (rehearsal(switch, self.name, values, command, f"run `{command}` in it", 90),)

    def before(self, switch: Switch) -> tuple[Step, ...]:
        """Nothing."""
        return ()

    def after(self, switch: Switch, facts: Facts) -> tuple[Step, ...]:
        """Its reload command, in ``current``; taken back by the same command, once the link is back."""
        if not switch.previous:
            return (self._reload(switch.root, switch.release, None),)
        back = self._reload(switch.root, switch.previous, switch.release)
        return (replace(self._reload(switch.root, switch.release, switch.previous), undo=back),)

    def _reload(self, root: PurePosixPath, new: Release, old: Release | None) -> Step:
        values = {
            "root": root,
            "what": f"reload {self.name}",
            "directory": "current",
            "commands": (self.settings.reload,),
            "new": f"{root}/releases/{new}",
            "old": f"{root}/releases/{old}" if old else "",
        }
        says, health = f"run `{self.settings.reload}`", self.settings.health
        limit_s = self.settings.drain_s + (health.wait_s if health else 30) + 30
        return Step("reload", values, says, template="commands", process=self.name, timeout_s=limit_s)

    def finish(self, switch: Switch) -> tuple[Step, ...]:
        """Nothing."""
        return ()

    def words(self, switch: Switch) -> tuple[Step, ...]:
        """None: where it writes them only it knows."""
        return ()

    def proof(self, release: Release, facts: Facts) -> Verdict:
        """Its ``prove`` prints the name of *release*."""
        says = facts.answer.one(f"{self.name}.says")
        name = says.rstrip("/").rpartition("/")[2]
        if name == release.name:
            return Verdict(note=f"{self.name}: `{self.settings.prove}` says so")
        why = f"{self.name}: `{self.settings.prove}` says {says[:80] or 'nothing'}, not {release}"
        return Verdict(why, quotes=True)

    def same(self, release: Release, then: Answer, now: Answer) -> bool:
        """Known only by what it says."""
        return then.all(f"{self.name}.says") == now.all(f"{self.name}.says")

    def owns(self, running: Running, facts: Facts) -> bool:
        """Cannot be told."""
        return False

    def accepts(self, running: Running, facts: Facts) -> bool:
        """What runs the live release does."""
        return running.release == facts.live
