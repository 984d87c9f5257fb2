"""The command report: the newest model of a study, or one patient, as a page.

MLflow, frame, panel -> ml.report -> HTML file
"""

from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.output import AsJson, Home, command
from orchestration.cli.studies import StudyName
from orchestration.settings import Settings

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
    from assets.models.pages import write_page
    from ml.registry.trainings import newest_training

    with command(as_json=as_json) as output:
        settings = Settings.load(home=home)
        training = newest_training(study, store=settings.registry)
        file = write_page(
            training,
            frames_dir=settings.frames_dir,
            reports_dir=settings.reports_dir,
            patient_id=patient,
            out=out,
        )
        output.say(str(file))
        output.result({"html": str(file)})
