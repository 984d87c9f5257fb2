"""Commands on studies: frame, train.

feature tables -> frame build -> train
"""

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestration.cli.output import AsJson, Home, command, table
from orchestration.settings import Settings

commands = typer.Typer()
frame = typer.Typer(help="Training frames: build, show, build again.", no_args_is_help=True)
commands.add_typer(frame, name="frame")

StudyName = Annotated[str, typer.Argument(help="Name of a study, for example aml_who_class.")]


@frame.command()
def build(
    study: StudyName,
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    as_of: Annotated[
        str | None, typer.Option(help="Use only what was known then (ISO time); default: all.")
    ] = None,
    modalities: Annotated[
        str | None, typer.Option(help="Comma-separated; default: all of the study.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Join the features of a study, point in time, into one table.

    Example: oncoframe frame build aml_who_class --modalities snv,clinical --out frame.parquet
    """
    from assets.training.frames import FRAME, read_sidecar
    from orchestration.pipeline import Pipeline, open_instance

    with command(as_json=as_json) as output:
        settings = Settings.load(home=home)
        chosen = [name.strip() for name in modalities.split(",")] if modalities else None
        with output.progress() as progress, open_instance(settings.dagster_dir) as instance:
            pipeline = Pipeline(settings, instance, progress)
            frame_id = pipeline.build_frame(study, as_of=as_of, modalities=chosen)
        shutil.copyfile(settings.frames_dir / frame_id / FRAME, out)
        about = read_sidecar(settings.frames_dir, frame_id)
        _say_frame(output, about)
        output.result({**_frame_summary(about), "out": str(out)})


@frame.command()
def show(
    frame_id: Annotated[str, typer.Argument(help="Id of a frame.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show what a frame holds, who was left out, and why.

    Example: oncoframe frame show 3f2a9c0d1e4b5a67
    """
    from assets.training.frames import read_sidecar

    with command(as_json=as_json) as output:
        about = read_sidecar(Settings.load(home=home).frames_dir, frame_id)
        _say_frame(output, about)
        output.result(about)


@frame.command()
def rebuild(
    frame_id: Annotated[str, typer.Argument(help="Id of a frame.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Build a frame once more, from the versions of the tables that it was made of.

    Example: oncoframe frame rebuild 3f2a9c0d1e4b5a67 --out again.parquet
    """
    from assets.lake import Lake
    from assets.training.defs import frame_builder
    from assets.training.frames import FRAME, read_sidecar
    from ml.study import Study

    with command(as_json=as_json) as output:
        settings = Settings.load(home=home)
        about = read_sidecar(settings.frames_dir, frame_id)
        study = Study.model_validate(about["study_definition"])
        folder = frame_builder(settings, Lake(settings.lake_dir), study).rebuild(frame_id)
        shutil.copyfile(folder / FRAME, out)
        shutil.rmtree(folder)
        _say_frame(output, about)
        output.result({**_frame_summary(about), "out": str(out)})


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


def _frame_summary(about: dict[str, Any]) -> dict[str, Any]:
    return {
        "frame_id": about["frame_id"],
        "rows": about["rows"],
        "columns": len(about["columns"]),
        "excluded": {why: len(who) for why, who in about["excluded"].items()},
    }


def _say_frame(output: Any, about: dict[str, Any]) -> None:
    summary = _frame_summary(about)
    shown = table(f"Frame {about['frame_id']} of {about['study']}", ["what"], ["count"])
    shown.add_row("patients", str(summary["rows"]))
    shown.add_row("columns", str(summary["columns"]))
    for modality, share in about["performed_share"].items():
        shown.add_row(f"{modality} performed", f"{share:.0%}")
    for why, count in summary["excluded"].items():
        shown.add_row(f"left out: {why}", str(count))
    output.say(shown, f"as of {about['as_of']}")
