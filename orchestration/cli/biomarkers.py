"""The commands ``biomarkers``: how they agree with the clinic, and the panel as a document.

lake -> agreement -> table; panel.yaml -> document
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.output import AsJson, Home, command, table
from orchestration.settings import Settings

commands = typer.Typer(help="Biomarkers of the panel.", no_args_is_help=True)


@commands.command()
def agreement(home: Home = None, as_json: AsJson = False) -> None:
    """Hold the biomarkers against the clinic's own calls and diagnoses, and say who differs.

    Example: oncoframe biomarkers agreement
    """
    from assets.biomarkers.agreement import agreements
    from oncoframe.lake import Lake

    with command(as_json=as_json) as output:
        found = agreements(Lake(Settings.load(home=home).lake_dir))
        counts = table(
            "Biomarkers and clinical statements, newest of each patient",
            ["biomarker", "against"],
            ["both", "neither", "only panel", "only clinic", "unknown", "agree", "kappa"],
        )
        reasons = table("Differences", ["biomarker", "only in", "what is there"], ["patients"])
        for one in found:
            counts.add_row(
                one.biomarker,
                one.against,
                *map(str, (one.both, one.neither, one.only_biomarker, one.only_clinic)),
                str(one.unknown),
                "" if one.share is None else f"{one.share:.1%}",
                "" if one.kappa is None else f"{one.kappa:.2f}",
            )
            for side, whys in (("panel", one.why_only_biomarker), ("clinic", one.why_only_clinic)):
                for why, number in whys.items():
                    reasons.add_row(one.biomarker, side, why, str(number))
        output.say(counts, reasons)
        rows = [{**asdict(one), "share": one.share, "kappa": one.kappa} for one in found]
        output.result({"agreement": rows})


@commands.command()
def document(
    file: Annotated[Path, typer.Argument(help="Markdown with the marks of the panel.")],
) -> None:
    """Write the table of the panel into a document.

    Example: oncoframe biomarkers document docs/biomarkers.md
    """
    from assets.biomarkers.document import with_panel
    from assets.genomics.panel.entries import load_panel

    with command(as_json=False) as output:
        text = with_panel(file.read_text(encoding="utf-8"), load_panel())
        file.write_text(text, encoding="utf-8")
        output.say(f"{len(load_panel().entries)} entries written to {file}")
