"""The command score, and how ``status`` shows the time from file to score.

champion, patients -> scores, drift -> what changed, how long it took
"""

from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from oncoframe.lake import Lake
from orchestration.cli.output import AsJson, Home, command, table
from orchestration.cli.studies import StudyName
from orchestration.settings import Settings

if TYPE_CHECKING:
    from rich.table import Table

commands = typer.Typer()

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400


@commands.command()
def score(
    study: StudyName,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ask the champion about every patient whose features changed, and judge drift.

    A study whose champion changed is scored anew. What schedule nightly_scores does every night.

    Example: oncoframe score aml_who_class
    """
    from orchestration.definitions import pipeline_of
    from orchestration.pipeline import open_instance
    from orchestration.scoring import score_study

    with command(as_json=as_json) as output:
        settings = Settings.load(home=home)
        with output.progress() as progress, open_instance(settings.dagster_dir) as instance:
            result = score_study(pipeline_of(settings, instance, progress), study)
        output.say(
            f"{result['scored']} patients scored by {result['champion']}, {result['unchanged']} "
            f"unchanged, {result['withdrawn']} taken back; {result['abstained']} of them without "
            "an answer",
            escape(result["verdict"][:1].upper() + result["verdict"][1:]),
            f"Page: {escape(result['html'])}",
        )
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
