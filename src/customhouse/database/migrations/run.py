"""Runs the scripts with Alembic, without a configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext

    from customhouse.database.engine import Transaction


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return ScriptDirectory.from_config(config)


def known() -> set[str]:
    """Every revision that there is a script for."""
    return {script.revision for script in _scripts().walk_revisions()}


def upgrade(tx: Transaction) -> None:
    """Run the scripts that the database has not seen, in the given transaction."""
    scripts = _scripts()

    def steps(revision: object, context: MigrationContext) -> object:
        del context
        return scripts._upgrade_revs("head", revision)  # type: ignore[arg-type]  # noqa: SLF001  - as alembic's own commands

    with EnvironmentContext(Config(), scripts, fn=steps, as_sql=False) as environment:
        environment.configure(connection=tx, transaction_per_migration=False)
        environment.run_migrations()
