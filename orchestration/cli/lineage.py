"""The command explain: one value of one patient, and where it comes from.

Answers in under two seconds: reads the lake and imports neither Dagster nor Feast nor MLflow.
"""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from oncoframe.clock import utc_time
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
    from assets.training.lineage import explain as explain_value
    from oncoframe.lake import Lake
    from oncoframe.modalities import feature_contracts

    with command(as_json=as_json) as output:
        lake = Lake(Settings.load(home=home).lake_dir)
        known_by = None if as_of is None else utc_time(as_of, where="option --as-of")
        found = explain_value(lake, feature_contracts(), patient_id, feature, known_by=known_by)
        shown = table(escape(f"{feature} of {patient_id}"), ["what", "is"])
        for name, value in asdict(found).items():
            if value not in (None, {}):
                shown.add_row(name, escape(str(value)))
        output.say(shown)
        output.result(asdict(found))
