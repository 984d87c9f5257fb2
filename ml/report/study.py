"""The report of a study: one page about the best model of its newest training.

StoredTraining, frame folder, evidence -> sections -> Page -> HTML
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ml.evaluation.metrics import LOSSES
from ml.report.binary import binary_section
from ml.report.blocks import FactList, Page, Section, Table, Text, number, percent, present, render
from ml.report.cohort import cohort_section, subgroup_section
from ml.report.facts import METRIC_NAMES, facts, row_of
from ml.report.limits import limits_section
from ml.report.performance import (
    calibration_section,
    classes_section,
    conformal_section,
    results_section,
    verdict_section,
)
from ml.report.reasons import reasons_section, shape_section
from ml.report.survival import survival_section
from ml.report.tripod import checklist
from ml.report.words import Dictionary, Evidence
from ml.training.stored import StoredModel, StoredTraining, read_json
from oncoframe.errors import StudyError

#: Metrics of the headline, those that the model has.
_HEADLINE = ("concordance", "log_loss", "accuracy", "macro_f1", "auroc")


def study_report(
    training: StoredTraining, frame_dir: Path, *, evidence: Mapping[str, Evidence] | None = None
) -> str:
    """Page of the best model of a training, as HTML.

    Parameters
    ----------
    training
        From the registry.
    frame_dir
        Folder of the frame it was trained on.
    evidence
        Id of a biomarker -> what it is and who says so.

    Raises
    ------
    StudyError
        If the frame or a file of the training is not there.
    """
    return render(study_page(training, frame_dir, evidence=evidence))


def study_page(
    training: StoredTraining, frame_dir: Path, *, evidence: Mapping[str, Evidence] | None = None
) -> Page:
    """Page of :func:`study_report` before it is HTML."""
    model = training.best
    frame = frame_sidecar(frame_dir)
    rows = pl.scan_parquet(frame_dir / "frame.parquet")
    dates = rows.select("index_timestamp").collect()["index_timestamp"]
    known = facts(training, model, frame, dates)
    dictionary = frame_dictionary(frame, rows.collect_schema(), evidence)
    limits = limits_section(training, model, known)
    known["limits"] = "; ".join(
        row[0].lower() for block in limits.blocks if isinstance(block, Table) for row in block.rows
    )
    return Page(
        title=f"{known['title']}: {model.name}",
        heading=known["title"],
        subheading=f"Report on model {model.name} of study {known['study']}",
        header=_header(training, model, known),
        headline=_headline(training, model),
        warnings=(),
        sections=present(
            [
                cohort_section(training, frame, known),
                results_section(training, model),
                verdict_section(training, frame),
                classes_section(training, model),
                binary_section(training, model),
                survival_section(training, model),
                calibration_section(model),
                conformal_section(training, model),
                reasons_section(model, dictionary),
                shape_section(training, dictionary),
                subgroup_section(training, model),
                limits,
                _tripod_section(known),
            ]
        ),
    )


def frame_sidecar(frame_dir: Path) -> dict[str, Any]:
    """What lies beside the rows of a frame.

    Raises
    ------
    StudyError
        If the frame is not there.
    """
    file = frame_dir / "frame.json"
    if not file.is_file():
        raise StudyError(
            "the frame of the training is not there any more",
            where=frame_dir.name,
            hint="Build it again (oncoframe frame rebuild ID) or train again.",
        )
    sidecar: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return sidecar


def frame_dictionary(
    frame: Mapping[str, Any], schema: pl.Schema, evidence: Mapping[str, Evidence] | None
) -> Dictionary:
    """Words of the columns of a frame.

    Parameters
    ----------
    frame
        Sidecar.
    schema
        Of the rows.
    evidence
        Of the biomarkers.
    """
    unit = str(((frame.get("guards") or {}).get("same") or {}).get("expression_unit") or "")
    return Dictionary(
        frame["columns"],
        flags=frozenset(name for name, dtype in schema.items() if dtype == pl.Boolean),
        evidence=evidence,
        # Read counts are normalised before any model sees them.
        expression_unit="log2 CPM" if unit == "counts" else unit,
    )


def _header(training: StoredTraining, model: StoredModel, known: Mapping[str, str]) -> FactList:
    links = {"dagster_run_id": "Dagster run"}
    return FactList(
        (
            ("Study", known["study"]),
            ("Model", model.name),
            ("Model version", model.run_id),
            ("Training run", training.run_id),
            ("Frame", known["frame_id"]),
            ("Trained", f"{training.started:%Y-%m-%d %H:%M} UTC"),
            ("Code version", training.code_version),
            *((name, training.tags[tag]) for tag, name in links.items() if tag in training.tags),
        )
    )


def _headline(training: StoredTraining, model: StoredModel) -> tuple[tuple[str, str, str], ...]:
    row = row_of(training.result, model)
    shown = [
        (
            METRIC_NAMES[name][0].upper() + METRIC_NAMES[name][1:],
            number(row[name]),
            (
                f"95 % interval {number(row[f'{name}_ci'][0])} to {number(row[f'{name}_ci'][1])}"
                f"{_beside(training.result, name)}"
            ),
        )
        for name in _HEADLINE
        if f"{name}_ci" in row
    ]
    coverage = read_json(model.folder, "coverage.json")
    if coverage is not None:
        _, low, high = coverage["overall"]
        said = (
            f"{percent(coverage['asked'])} asked; interval {number(low)} to {number(high)}; "
            f"{number(coverage['mean_size'][0], 2)} classes per set, "
            f"{percent(coverage['answered'][0])} of the patients answered"
        )
        shown.append(("Sets with the true class", number(coverage["overall"][0]), said))
    return tuple(shown)


def _beside(result: Mapping[str, Any], metric: str) -> str:
    """What doing nothing and the simplest model reach, and whether the metric that decides wins."""
    if "constant" not in result or metric not in {"accuracy", result["best_by"]}:
        return ""
    simple = result["simplest"]
    doing_nothing = "class shares" if metric in LOSSES else f"always {result['majority']}"
    said = (
        f"; {doing_nothing} {number(result['constant'][metric])}, simplest model "
        f"({simple['recipe']} on {simple['modalities']}) {number(simple[metric])}"
    )
    missed = [row["name"] for row in result["rivals"] if not row["is_beaten"]]
    if metric == result["best_by"] and missed:
        said += f"; does not beat {', '.join(missed)}"
    return said


def _tripod_section(known: Mapping[str, str]) -> Section:
    answers = checklist(known)
    counts = {
        status: sum(answer.status == status for answer in answers)
        for status in ("reported", "not applicable", "missing")
    }
    return Section(
        "tripod",
        "TRIPOD+AI checklist",
        (
            Text(
                "Filled by the program from what it knows: "
                + ", ".join(f"{n} {status}" for status, n in counts.items())
                + ". What only authors can say is missing. Items after Collins et al., BMJ "
                "2024;385:e078378, in our words."
            ),
            Table(
                "TRIPOD+AI, 27 main items",
                ("Item", "Part", "Asks for", "Status", "From the facts of this training"),
                tuple((a.item.number, a.item.part, a.item.asks, a.status, a.text) for a in answers),
                words=5,
            ),
        ),
    )
