"""Commands on studies: frame (see ``frames.py``), train.

feature tables -> frame build -> train
"""

from typing import Annotated, Any

import typer

from orchestration.cli import frames
from orchestration.cli.output import AsJson, Home, command, table
from orchestration.settings import Settings

commands = typer.Typer()
commands.add_typer(frames.commands, name="frame")

StudyName = Annotated[str, typer.Argument(help="Name of a study, for example aml_who_class.")]


@commands.command()
def train(study: StudyName, home: Home = None, as_json: AsJson = False) -> None:
    """Cross-validate the recipes of a study on a new frame and track them in MLflow.

    Example: oncoframe train aml_who_class
    """
    from orchestration.pipeline import Pipeline, open_instance

    with command(as_json=as_json) as output:
        settings = Settings.load(home=home)
        with output.progress() as progress, open_instance(settings.dagster_dir) as instance:
            result = Pipeline(settings, instance, progress).train(study)
        output.say(result_table(result))
        output.result(result)


def result_table(result: dict[str, Any]) -> Any:
    """Table of recipes and modality sets with their intervals."""
    shown = table(
        f"{result['study']}, frame {result['frame_id']}, 95 % intervals",
        ["recipe", "modalities"],
        ["accuracy", "macro F1"],
    )
    for row in result["recipes"]:
        cells = [
            f"{row[metric]:.3f}  [{row[f'{metric}_ci'][0]:.3f}, {row[f'{metric}_ci'][1]:.3f}]"
            for metric in ("accuracy", "macro_f1")
        ]
        shown.add_row(row["recipe"], str(row["modalities"]), *cells)
    return shown
