"""Commands on a home as a whole: migrate.

home of an older version -> migrate -> backup, tables of this version, line in the audit log
"""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from orchestration.cli.output import AsJson, Home, command, table
from orchestration.settings import Settings

commands = typer.Typer()


@commands.command()
def migrate(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Bring the tables of an older version to this one, after a copy of them was put aside.

    Stop the UI and its daemon first. Frames that were built before rebuild to the same bytes.

    Example: oncoframe migrate --dry-run
    """
    from oncoframe.audit import Action, AuditLog, machine_user
    from oncoframe.migration import last_migration, plan
    from oncoframe.migration import migrate as bring

    with command(as_json=as_json) as output:
        settings = Settings.read(home=home)
        planned = plan(settings.home)
        backup = None
        if planned and not dry_run:
            backup = bring(settings.home, now=datetime.now(tz=UTC))
            AuditLog(settings.audit_log).append(
                Action.MIGRATED,
                actor=machine_user(),
                subject=f"migration {last_migration()}",
                details={"tables": {one.table: one.rows for one in planned}},
            )
        shown = table("tables", ["table", "what", "added", "removed", "retyped"], ["rows"])
        for one in planned:
            columns = (", ".join(names) for names in (one.added, one.removed, one.retyped))
            shown.add_row(one.table, " ".join(one.words), *columns, str(one.rows))
        if not planned:
            output.say("Nothing to do: every table is as this version wants it.")
        else:
            output.say(shown)
        if backup is not None:
            output.say(f"Migrated. The tables of before: {backup}")
        output.result(
            {
                "home": str(settings.home),
                "migration": last_migration(),
                "tables": [asdict(one) for one in planned],
                "done": backup is not None,
                "backup": None if backup is None else str(backup),
            }
        )
