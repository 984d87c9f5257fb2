"""Commands on training frames: build, show, rebuild, expand, diff.

feature tables -> frame build -> frame.parquet, frame.json -> show, expand, diff
"""

import shutil
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestration.cli.output import AsJson, Home, command, table
from orchestration.settings import Settings

commands = typer.Typer(
    help="Training frames: build, show, build again, expand, compare.", no_args_is_help=True
)

FrameId = Annotated[str, typer.Argument(help="Id of a frame.")]


@commands.command()
def build(
    study: Annotated[str, typer.Argument(help="Name of a study, for example aml_who_class.")],
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
    from assets.training.sidecar import FRAME, read_sidecar
    from orchestration.pipeline import open_instance

    with command(as_json=as_json) as output:
        from orchestration.definitions import pipeline_of

        settings = Settings.load(home=home)
        chosen = [name.strip() for name in modalities.split(",")] if modalities else None
        with output.progress() as progress, open_instance(settings.dagster_dir) as instance:
            pipeline = pipeline_of(settings, instance, progress)
            frame_id = pipeline.build_frame(study, as_of=as_of, modalities=chosen)
        shutil.copyfile(settings.frames_dir / frame_id / FRAME, out)
        about = read_sidecar(settings.frames_dir, frame_id)
        _say_frame(output, about)
        output.result({**_frame_summary(about), "out": str(out)})


@commands.command()
def show(frame_id: FrameId, home: Home = None, as_json: AsJson = False) -> None:
    """Show what a frame holds, who was left out, and why.

    Example: oncoframe frame show 3f2a9c0d1e4b5a67
    """
    from assets.training.sidecar import read_sidecar

    with command(as_json=as_json) as output:
        about = read_sidecar(Settings.load(home=home).frames_dir, frame_id)
        _say_frame(output, about)
        output.result(about)


@commands.command()
def rebuild(
    frame_id: FrameId,
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Build a frame once more, from the versions of the tables that it was made of.

    Example: oncoframe frame rebuild 3f2a9c0d1e4b5a67 --out again.parquet
    """
    from assets.training.sidecar import FRAME, read_sidecar
    from oncoframe.lake import Lake
    from orchestration.frames import rebuild_frame

    with command(as_json=as_json) as output:
        settings = Settings.load(home=home)
        folder = rebuild_frame(settings, Lake(settings.lake_dir), frame_id)
        shutil.copyfile(folder / FRAME, out)
        shutil.rmtree(folder)
        about = read_sidecar(settings.frames_dir, frame_id)
        _say_frame(output, about)
        output.result({**_frame_summary(about), "out": str(out)})


@commands.command()
def expand(
    frame_id: FrameId,
    out: Annotated[Path, typer.Option(help="File to write: .parquet, .csv or .npz.")],
    columns: Annotated[
        str | None, typer.Option(help="Comma-separated frame columns; default: all.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write a frame with every position of its vector blocks as a column of its own.

    The names of a .parquet or .csv file are safe for every tool; those in a .npz file (arrays
    matrix, names, patient_ids, labels) are the names of the field. A matrix holds numbers only.

    Example: oncoframe frame expand 3f2a9c0d1e4b5a67 --out expanded.parquet
    """
    from assets.training.sidecar import read_sidecar
    from ml.frames.expand import write_expanded
    from ml.frames.frame import read_frame

    with command(as_json=as_json) as output:
        folder = Settings.load(home=home).frames_dir
        read_sidecar(folder, frame_id)
        chosen = [name.strip() for name in columns.split(",")] if columns else None
        rows, width = write_expanded(read_frame(folder / frame_id), out, chosen)
        output.say(f"{rows} patients x {width} columns in {out}")
        output.result({"frame_id": frame_id, "rows": rows, "columns": width, "out": str(out)})


@commands.command()
def diff(
    a: Annotated[str, typer.Argument(help="Id of a frame.")],
    b: Annotated[str, typer.Argument(help="Id of a frame that is held against it.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show which patients, columns and values differ between two frames, and why.

    Example: oncoframe frame diff 3f2a9c0d1e4b5a67 9b1c44e2a0d37f58
    """
    from assets.training.diff import diff_frames
    from oncoframe.lake import Lake

    with command(as_json=as_json) as output:
        settings = Settings.load(home=home)
        found = diff_frames(Lake(settings.lake_dir), settings.frames_dir, a, b)
        shown = table(f"Frame {a} -> {b}", ["what", "why"], ["count"])
        parts = {
            "patients added": found.patients_added,
            "patients removed": found.patients_removed,
            "columns added": found.columns_added,
            "columns removed": found.columns_removed,
        }
        for what, reasons in parts.items():
            for why, count in Counter(reasons.values()).most_common():
                shown.add_row(what, why, str(count))
        for why, count in found.values["why"].value_counts(sort=True).iter_rows():
            shown.add_row("values changed", why, str(count))
        output.say(shown if shown.row_count else "The frames hold the same.")
        output.result(
            {
                "a": a,
                "b": b,
                **{what.replace(" ", "_"): reasons for what, reasons in parts.items()},
                "values": found.values.to_dicts(),
            }
        )


def _frame_summary(about: dict[str, Any]) -> dict[str, Any]:
    return {
        "frame_id": about["frame_id"],
        "rows": about["rows"],
        "columns": len(about["columns"]),
        "excluded": {why: len(who) for why, who in about["excluded"].items()},
    }


def _say_frame(output: Any, about: dict[str, Any]) -> None:
    from assets.training.sidecar import facts

    shown = table(f"Frame {about['frame_id']} of {about['study']}", ["what"], ["count"])
    for what, count in facts(about):
        shown.add_row(what, count)
    output.say(shown, f"as of {about['as_of']}")
