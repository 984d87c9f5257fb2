"""The command report: the newest model of a study, or one patient, as a page.

MLflow, frame, panel -> ml.report -> HTML file
"""

from pathlib import Path
from typing import Annotated

import typer

import oncoframe as of
from orchestration.cli.output import AsJson, Home, command
from orchestration.cli.studies import StudyName

commands = typer.Typer()


@commands.command()
def report(
    study: StudyName,
    patient: Annotated[
        str | None, typer.Option(help="Pseudonym: the page of this patient instead.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write.", show_default="in reports of the home")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write the report of a study's newest model, or of one patient, as one HTML file.

    Example: oncoframe report aml_who_class --out report.html
    """
    with command(as_json=as_json) as output:
        file = of.Home(home).report(study, patient, out=out)
        output.say(str(file))
        output.result({"html": str(file)})
