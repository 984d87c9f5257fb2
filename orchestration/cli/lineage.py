"""The command explain: one value of one patient, and where it comes from.

Answers in under two seconds: reads the lake and imports neither Dagster nor Feast nor MLflow.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape

from oncoframe.errors import SettingsError
from orchestration.cli.output import AsJson, Home, command, table
from orchestration.settings import Settings

commands = typer.Typer()


@commands.command()
def explain(
    patient_id: Annotated[str, typer.Argument(metavar="PATIENT", help="Pseudonym.")],
    feature: Annotated[
        str, typer.Argument(help="For example NPM1_variants, BCR::ABL1 or snv_gene_burden[TP53].")
    ],
    as_of: Annotated[
        str | None, typer.Option(help="Explain what was known then (ISO time); default: now.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say what a value is and where it comes from: file and hash, tool, code, settings, run.

    Example: oncoframe explain SYN-0001 BCR::ABL1
    """
    from assets.store.catalog import feature_contracts
    from assets.training.lineage import explain as explain_value
    from oncoframe.lake import Lake

    with command(as_json=as_json) as output:
        lake = Lake(Settings.load(home=home).lake_dir)
        found = explain_value(lake, feature_contracts(), patient_id, feature, known_by=_time(as_of))
        shown = table(escape(f"{feature} of {patient_id}"), ["what", "is"])
        for name, value in asdict(found).items():
            if value not in (None, {}):
                shown.add_row(name, escape(str(value)))
        output.say(shown)
        output.result(asdict(found))


def _time(text: str | None) -> datetime | None:
    """ISO time; UTC unless it names a zone."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(
            "not a time", where="option --as-of", expected="ISO format, such as 2024-03-31"
        ) from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)
