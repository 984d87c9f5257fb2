"""Commands on released models: promote, rollback, models, and the groups audit and roles.

challenger -> gate -> champion; audit log; roles of the MLflow server
"""

import textwrap
from typing import Annotated, Any

import typer
from rich.markup import escape

from orchestration.cli.output import AsJson, Home, command, table
from orchestration.cli.studies import StudyName
from orchestration.settings import Settings

commands = typer.Typer()
audit = typer.Typer(help="The audit log: check it, read it.", no_args_is_help=True)
roles = typer.Typer(help="Roles of the MLflow server: who may promote.", no_args_is_help=True)
commands.add_typer(audit, name="audit")
commands.add_typer(roles, name="roles")

Approver = Annotated[str, typer.Option(help="Who decides; one of the setting approvers.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit log.")]
#: Characters of a SHA-256, those shown of it, and those of the longest text shown in full.
_HASH, _SHORT, _LONGEST = 64, 12, 60


@commands.command()
def promote(
    study: StudyName,
    approver: Approver,
    reason: Reason,
    accept_suspects: Annotated[
        bool,
        typer.Option(
            "--accept-suspects", help="The columns suspected to leak the label define their class."
        ),
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make the challenger of a study champion, if all conditions of the gate hold.

    Example: oncoframe promote aml_who_class --approver dr_lee --reason "new sequencer"
    """
    from orchestration.pipeline import open_instance
    from orchestration.releases import promote_challenger

    with command(as_json=as_json) as output:
        from orchestration.definitions import pipeline_of

        settings = Settings.load(home=home)
        with output.progress() as progress, open_instance(settings.dagster_dir) as instance:
            result = promote_challenger(
                pipeline_of(settings, instance, progress), study, approver, reason,
                accept_suspects=accept_suspects,
            )  # fmt: skip
        output.say(_conditions(result["conditions"]), f"Champion now: {result['champion']}")
        output.result(result)


@commands.command()
def rollback(
    study: StudyName, approver: Approver, reason: Reason, home: Home = None, as_json: AsJson = False
) -> None:
    """Make the previous champion of a study champion again; once more undoes it.

    Example: oncoframe rollback aml_who_class --approver dr_lee --reason "wrong on APL"
    """
    from orchestration.pipeline import open_instance
    from orchestration.releases import roll_back_champion

    with command(as_json=as_json) as output:
        settings = Settings.load(home=home)
        with open_instance(settings.dagster_dir) as instance:
            moved = roll_back_champion(settings, instance, study, approver, reason)
        output.say(f"Champion now: {moved['champion']}; previous: {moved['previous']}")
        output.result({"study": study, **moved})


@commands.command()
def models(
    study: StudyName,
    review: Annotated[
        bool, typer.Option("--review", help="Judge the challenger; nothing is changed.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show the registered versions of a study's model, and the names that point at them.

    Example: oncoframe models aml_who_class --review
    """
    from ml.registry.listing import listed_versions

    with command(as_json=as_json) as output:
        settings = Settings.load(home=home)
        rows: list[dict[str, Any]] = [
            {
                "model": version.label,
                "aliases": list(aliases),
                "trained": version.training_run_id,
                "frame_id": version.frame_id,
                "recipe": f"{version.recipe} on {version.modality_set}",
                "created": version.created.isoformat(timespec="seconds"),
                "sha256": version.sha256,
            }
            for version, aliases in listed_versions(study, store=settings.registry)
        ]
        shown = table(f"Models of {study}", ["model", "aliases", "recipe", "frame", "registered"])
        for row in rows:
            names = ", ".join(row["aliases"])
            shown.add_row(row["model"], names, row["recipe"], row["frame_id"], row["created"])
        output.say(shown if rows else f"No model of {study} is registered.")
        result: dict[str, Any] = {"study": study, "versions": rows}
        if review:
            from assets.promotion.gate import review_of
            from orchestration.studies.champions import place

            found = review_of(study, place(settings))
            result["conditions"] = [condition.as_dict() for condition in found]
            output.say(_conditions(result["conditions"]))
        output.result(result)


@audit.command()
def verify(
    holds: Annotated[
        str | None, typer.Option(help="Hash of a line that was noted elsewhere.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Check that no line of the audit log was edited, taken out, put in, moved or cut off.

    Example: oncoframe audit verify
    """
    from oncoframe.audit import AuditLog

    with command(as_json=as_json) as output:
        found = AuditLog(Settings.load(home=home).audit_log).verify(holds=holds)
        output.say(f"{found.lines} lines hold. Head: {found.head}")
        output.result({"lines": found.lines, "head": found.head})


@audit.command()
def show(
    last: Annotated[int, typer.Option(min=1, help="Number of lines.")] = 20,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show the newest lines of the audit log, after checking it.

    Example: oncoframe audit show --last 5
    """
    from dataclasses import asdict

    from oncoframe.audit import AuditLog

    with command(as_json=as_json) as output:
        entries = AuditLog(Settings.load(home=home).audit_log).entries()[-last:]
        shown = table("Audit log", ["line", "time", "who", "what", "of what", "more"])
        for entry in entries:
            more = ", ".join(f"{key}: {_brief(value)}" for key, value in entry.details.items())
            told = (entry.time[:19], entry.actor, entry.action, entry.subject, more)
            shown.add_row(str(entry.seq), *map(escape, told))
        output.say(shown if entries else "The audit log is empty.")
        output.result({"entries": [asdict(entry) for entry in entries]})


@roles.command()
def apply(home: Home = None, as_json: AsJson = False) -> None:
    """Give the approvers and scientists of the settings their permissions on the MLflow server.

    The user of MLFLOW_TRACKING_USERNAME must be the server's administrator.

    Example: oncoframe roles apply
    """
    from orchestration.releases import give_roles

    with command(as_json=as_json) as output:
        settings = Settings.load(home=home)
        given = give_roles(settings)
        shown = table(f"Roles on {settings.mlflow_uri}", ["role", "users"])
        for role, users in given.items():
            shown.add_row(role, ", ".join(users) or "nobody")
        output.say(shown)
        output.result({role: list(users) for role, users in given.items()})


def _conditions(rows: list[dict[str, Any]]) -> Any:
    shown = table("Conditions of the gate", ["condition", "holds", "what was found"])
    for row in rows:
        shown.add_row(row["name"], "yes" if row["passed"] else "NO", escape(row["sentence"]))
    return shown


def _brief(value: Any) -> str:
    """A value as a table shows it: hashes by their beginning, nested values by their number."""
    listed = isinstance(value, list) and all(isinstance(item, str) for item in value)
    if isinstance(value, list | dict) and not listed:
        return str(len(value))
    text = ", ".join(value) if listed else str(value)
    is_hash = len(text) == _HASH and set(text) <= set("0123456789abcdef")
    return text[:_SHORT] if is_hash else textwrap.shorten(text, _LONGEST)
