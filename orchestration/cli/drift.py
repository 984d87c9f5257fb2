"""The command drift: new patients held against the frame that a model was trained on.

two frames -> verdict, columns, likely cause -> page and figures
"""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from orchestration.cli.output import AsJson, Home, command, table
from orchestration.settings import Settings

commands = typer.Typer()

_SHOWN_COLUMNS = 20


@commands.command()
def drift(
    reference: Annotated[
        str, typer.Option(help="Frame of the model: id, folder, or Parquet file.", metavar="FRAME")
    ],
    current: Annotated[
        str, typer.Option(help="Frame with the new patients, likewise.", metavar="FRAME")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the page (drift.html) and its figures.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say whether new patients differ from those a model was trained on, where, and why.

    Patients whom the reference holds as they are do not count as new. The exit code is 0 with
    drift, too.

    Examples: oncoframe drift --reference 3f2a9c0d1e4b5a67 --current 9b1c44e2a0d37f58 --out page;
    oncoframe drift --reference old.parquet --current new.parquet --json
    """
    from ml.drift.comparison import compare
    from ml.drift.report import write_report

    with command(as_json=as_json) as output:
        settings = Settings.load(home=home)
        first, excluded = _window(settings, reference)
        second, _ = _window(settings, current)
        report = compare(first, second, exclude=excluded)
        files = write_report(report, out) if out is not None else {}
        _say(output, report)
        if files:
            output.say(f"Page: {files['html']}")
        output.result(
            {**report.as_dict(), "files": {name: str(file) for name, file in files.items()}}
        )


def _window(settings: Settings, named: str) -> tuple[Any, list[str]]:
    """Frame with what the lake knows of its patients, and the columns its study excludes."""
    import json

    from assets.training.measurement import frame_provenance
    from ml.drift.comparison import Window
    from ml.drift.reading import read_any_frame
    from oncoframe.lake import Lake

    of_home = settings.frames_dir / named
    folder = of_home if of_home.is_dir() else Path(named)
    frame = read_any_frame(folder)
    sidecar_file = (folder if folder.is_dir() else folder.parent) / "frame.json"
    if (not folder.is_dir() and folder.name != "frame.parquet") or not sidecar_file.is_file():
        return Window(frame), []
    sidecar = json.loads(sidecar_file.read_text())
    excluded = sidecar.get("study_definition", {}).get("features", {}).get("exclude", {})
    provenance = None
    if sidecar_file.parent.resolve().parent == settings.frames_dir.resolve():
        provenance = frame_provenance(Lake(settings.lake_dir), sidecar, frame.rows)
    return Window(frame, provenance), list(excluded)


def _say(output: Any, report: Any) -> None:
    verdict = report.verdict
    shown = table(
        f"{report.current_patients} new patients against {report.reference_patients}",
        ["modality", "likely cause"],
        ["tested", "drifted", "share"],
    )
    for m in report.modalities:
        cells = str(m.tested), str(m.drifted), f"{m.share:.1%}"
        shown.add_row(m.modality, escape(m.cause or ""), *cells)
    output.say(shown)
    if not verdict.drifted:
        output.say("No drift.")
        return
    output.say(f"Drift; likely cause: {escape(verdict.cause or 'no recorded covariate')}")
    columns = table("Drifted columns", ["column", "what", "among"], ["before", "now", "effect"])
    for row in report.tests.filter("drifted").head(_SHOWN_COLUMNS).iter_rows(named=True):
        columns.add_row(
            escape(row["column"]), row["what"], escape(row["within"] or "all"),
            f"{row['before']:.4g}", f"{row['now']:.4g}", f"{row['effect']:+.2f}",
        )  # fmt: skip
    output.say(columns)
