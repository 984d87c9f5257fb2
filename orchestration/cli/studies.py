"""Commands on studies: frame (see ``frames.py``), train, report, score.

feature tables -> frame build -> train -> report; champion, patients -> score -> time to answer
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

import oncoframe as of
from oncoframe.lake import Lake
from orchestration.cli import frames
from orchestration.cli.output import AsJson, Home, command, table
from orchestration.settings import Settings

if TYPE_CHECKING:
    from rich.table import Table

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400

commands = typer.Typer()
commands.add_typer(frames.commands, name="frame")

StudyName = Annotated[str, typer.Argument(help="Name of a study, for example aml_who_class.")]


@commands.command()
def train(study: StudyName, home: Home = None, as_json: AsJson = False) -> None:
    """Cross-validate the recipes of a study on a new frame, track them in MLflow, and report.

    Example: oncoframe train aml_who_class
    """
    from orchestration.pipeline import open_instance

    with command(as_json=as_json) as output:
        from orchestration.definitions import pipeline_of

        settings = Settings.load(home=home)
        with output.progress() as progress, open_instance(settings.dagster_dir) as instance:
            result = pipeline_of(settings, instance, progress).train(study)
        output.say(result_table(result), *check_sentences(result), f"Report: {result['report']}")
        output.result(result)


def result_table(result: dict[str, Any]) -> Any:
    """Table of recipes and modality sets with their intervals."""
    metrics: tuple[str, ...] = ("concordance",)
    if "best_by" in result:
        metrics = tuple(dict.fromkeys((result["best_by"], "accuracy", "macro_f1")))
    shown = table(
        f"{result['study']}, frame {result['frame_id']}, 95 % intervals",
        ["recipe", "modalities"],
        [metric.replace("macro_f1", "macro F1").replace("_", " ") for metric in metrics],
    )
    for row in result["recipes"]:
        cells = [
            f"{row[metric]:.3f}  [{row[f'{metric}_ci'][0]:.3f}, {row[f'{metric}_ci'][1]:.3f}]"
            for metric in metrics
        ]
        shown.add_row(row["recipe"], str(row["modalities"]), *cells)
    return shown


def check_sentences(result: dict[str, Any]) -> list[str]:
    """Sentences on what the table cannot show: what was beaten, and shuffled labels."""
    said = []
    for row in result.get("rivals", []):
        value, low, high = row["difference"]
        beaten = "" if row["is_beaten"] else "; not shown to be better"
        metric = row["metric"].replace("_", " ")
        said.append(
            f"Best model, {metric} less that of {row['name']}: {value:+.3f} "
            f"[{low:+.3f}, {high:+.3f}]{beaten}"
        )
    for row in result.get("permuted", []):
        area, low, high = row["auroc"]
        chance = {True: "at chance", False: "ABOVE CHANCE", None: "not measured"}[row["at_chance"]]
        name = f"Shuffled labels, {row['modalities']}"
        said.append(f"{name}: AUROC {area:.3f} [{low:.3f}, {high:.3f}], {chance}")
    return said


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


@commands.command()
def score(study: StudyName, home: Home = None, as_json: AsJson = False) -> None:
    """Ask the champion about every patient whose features changed, and judge drift.

    A study whose champion changed is scored anew. What schedule nightly_scores does every night.

    Example: oncoframe score aml_who_class
    """
    from orchestration.pipeline import open_instance

    with command(as_json=as_json) as output:
        from orchestration.definitions import pipeline_of

        settings = Settings.load(home=home)
        with output.progress() as progress, open_instance(settings.dagster_dir) as instance:
            result = pipeline_of(settings, instance, progress).score(study)
        output.say(
            f"{result['scored']} patients scored by {result['champion']}, {result['unchanged']} "
            f"unchanged, {result['withdrawn']} taken back; {result['abstained']} of them without "
            "an answer",
            escape(result["verdict"][:1].upper() + result["verdict"][1:]),
            f"Page: {escape(result['html'])}",
        )
        output.result(result)


@commands.command()
def validate(
    study: StudyName,
    cohort: Annotated[str, typer.Option(help="Site that the training never saw.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ask a study's newest model, as it is, about the patients of a site it never saw.

    Example: oncoframe validate smear_multiclass --cohort east
    """
    with command(as_json=as_json) as output:
        result = of.Home(home).validate(study, cohort)
        shown = table(
            f"{result['model']} of {result['study']} on {result['patients']} patients of {cohort}, "
            "95 % intervals",
            ["metric"],
            ["value"],
        )
        for name in ("auroc", "accuracy", "macro_f1"):
            low, high = result[f"{name}_ci"]
            shown.add_row(
                name.replace("macro_f1", "macro F1"), f"{result[name]:.3f}  [{low:.3f}, {high:.3f}]"
            )
        output.say(shown)
        output.result(result)


def times_to_answer(lake: Lake) -> dict[str, dict[str, float]]:
    """Study -> how long patients waited for a score in the last 30 days."""
    from assets.scoring.waiting import recent_time_to_answer, scored_before

    waits = {study: recent_time_to_answer(lake, study) for study in scored_before(lake)}
    return {study: waited.as_dict() for study, waited in waits.items() if waited is not None}


def waiting_table(waits: dict[str, dict[str, float]]) -> "Table":
    """Time from file to score by study, as people read it."""
    heads = ["answers", "median", "90 %", "longest"]
    shown = table("Time from file to score, last 30 days", ["study"], heads)
    for study, waited in waits.items():
        times = (_duration(waited[name]) for name in ("median_s", "p90_s", "max_s"))
        shown.add_row(study, str(waited["answers"]), *times)
    return shown


def _duration(seconds: float) -> str:
    for unit, name in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"
