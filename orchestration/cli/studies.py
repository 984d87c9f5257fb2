"""Commands on studies: frame (see ``frames.py``), train.

feature tables -> frame build -> train -> report
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
    """Cross-validate the recipes of a study on a new frame, track them in MLflow, and report.

    Example: oncoframe train aml_who_class
    """
    from orchestration.definitions import pipeline_of
    from orchestration.pipeline import open_instance

    with command(as_json=as_json) as output:
        settings = Settings.load(home=home)
        with output.progress() as progress, open_instance(settings.dagster_dir) as instance:
            result = pipeline_of(settings, instance, progress).train(study)
        output.say(result_table(result), *check_sentences(result), f"Report: {result['report']}")
        output.result(result)


def result_table(result: dict[str, Any]) -> Any:
    """Table of recipes and modality sets with their intervals."""
    metrics = ("accuracy", "macro_f1") if "accuracy" in result["best"] else ("concordance",)
    shown = table(
        f"{result['study']}, frame {result['frame_id']}, 95 % intervals",
        ["recipe", "modalities"],
        [metric.replace("macro_f1", "macro F1") for metric in metrics],
    )
    for row in result["recipes"]:
        cells = [
            f"{row[metric]:.3f}  [{row[f'{metric}_ci'][0]:.3f}, {row[f'{metric}_ci'][1]:.3f}]"
            for metric in metrics
        ]
        shown.add_row(row["recipe"], str(row["modalities"]), *cells)
    return shown


def check_sentences(result: dict[str, Any]) -> list[str]:
    """Sentences on what the table cannot show: the baseline, and shuffled labels."""
    said = []
    above = result.get("above_baseline", {})
    if above.get("baseline"):
        value, low, high = above["macro_f1"]
        said.append(
            f"Macro F1 above the best plain baseline ({above['baseline']}): {value:+.3f} "
            f"[{low:+.3f}, {high:+.3f}]" + ("" if low > 0 else "; the interval holds zero")
        )
    for row in result.get("permuted", []):
        area, low, high = row["auroc"]
        chance = "at chance" if row["at_chance"] else "NOT AT CHANCE"
        name = f"Shuffled labels, {row['modalities']}"
        said.append(f"{name}: AUROC {area:.3f} [{low:.3f}, {high:.3f}], {chance}")
    return said
