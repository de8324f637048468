"""What a deploy runs: ``manage.py deploy_migrations pending | expand | contract``."""

import sys

from django.core.management import BaseCommand, CommandParser, call_command
from django.db import connection
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor


class Command(BaseCommand):
    """A migration is a contract one when its class or its module says ``deploy_phase = "contract"``, else expand."""

    help = "List what is pending with its phase, or run it up to the next change of phase."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("command", choices=("pending", "expand", "contract"))

    def handle(self, *, command: str, **options: object) -> None:
        pending = self.pending()
        if command == "pending":
            for migration in pending:
                self.stdout.write(f"{phase(migration)} {migration.app_label}.{migration.name}")
        elif pending and all(phase(migration) == command for migration in pending):
            call_command("migrate", interactive=False)
        else:
            for migration in pending:
                if phase(migration) != command:
                    break
                call_command("migrate", migration.app_label, migration.name, interactive=False)

    @staticmethod
    def pending() -> list[Migration]:
        """All that did not run, in the order in which `migrate` would run them."""
        executor = MigrationExecutor(connection)
        return [migration for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]


def phase(migration: Migration) -> str:
    """``expand`` or ``contract``."""
    module = sys.modules[type(migration).__module__]
    found = getattr(migration, "deploy_phase", getattr(module, "deploy_phase", "expand"))
    if found not in ("expand", "contract"):
        raise ValueError(f"{migration}: deploy_phase is {found!r}, not 'expand' or 'contract'")
    return found
