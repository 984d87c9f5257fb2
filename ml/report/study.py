"""The report of a study: one page about the best model of its newest training.

StoredTraining, frame folder, evidence -> sections -> Page -> HTML
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from ml.frames.frame import SITES
from ml.promotion.criteria import Condition
from ml.report.binary import binary_section
from ml.report.blocks import FactList, Page, Section, Table, Text, present, render
from ml.report.classes import with_class_words
from ml.report.cohort import cohort_section, subgroup_section, suspected_leaks
from ml.report.facts import facts
from ml.report.glance import glance_section, released
from ml.report.headline import headline
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
from ml.study.definition import Language
from ml.training.stored import StoredModel, StoredTraining, read_table
from oncoframe.errors import StudyError

#: Suspected leaks named at the top; the section on the cohort names all.
_NAMED = 3


def study_report(
    training: StoredTraining,
    frame_dir: Path,
    *,
    evidence: Mapping[str, Evidence] | None = None,
    gate: Sequence[Condition] = (),
    language: Language = "en",
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
    gate
        Conditions of its release; empty where nobody judged it.
    language
        That classes are called in.

    Raises
    ------
    StudyError
        If the frame or a file of the training is not there.
    """
    with TemporaryDirectory() as scratch:
        said = with_class_words(training, Path(scratch), language)
        return render(study_page(said, frame_dir, evidence=evidence, gate=gate))


def study_page(
    training: StoredTraining,
    frame_dir: Path,
    *,
    evidence: Mapping[str, Evidence] | None = None,
    gate: Sequence[Condition] = (),
) -> Page:
    """Page of :func:`study_report` before it is HTML."""
    model = training.best
    frame = frame_sidecar(frame_dir)
    rows = pl.scan_parquet(frame_dir / "frame.parquet")
    dates = rows.select("index_timestamp").collect()["index_timestamp"]
    known = facts(training, model, frame, dates)
    dictionary = frame_dictionary(frame, rows.collect_schema(), evidence)
    sites = read_table(frame_dir, SITES)
    limits = limits_section(training, model, known, frame)
    known["limits"] = "; ".join(
        row[0].lower() for block in limits.blocks if isinstance(block, Table) for row in block.rows
    )
    return Page(
        title=f"{known['title']}: {model.name}",
        heading=known["title"],
        subheading=f"Report on model {model.name} of study {known['study']}",
        header=_header(training, model, known),
        headline=headline(training, model),
        warnings=tuple(_warnings(training, frame, dictionary)),
        sections=present(
            [
                glance_section(training, model, known, gate),
                cohort_section(
                    training, frame, known, dictionary, None if sites is None else sites["site"]
                ),
                results_section(training, model),
                None if gate else verdict_section(training, frame),
                classes_section(training, model),
                binary_section(training, model),
                survival_section(training, model),
                calibration_section(model),
                conformal_section(training, model),
                reasons_section(model, dictionary),
                shape_section(training, dictionary),
                subgroup_section(training, model),
                limits,
                _release_section(gate),
                _tripod_section(known),
            ]
        ),
    )


def _warnings(
    training: StoredTraining, frame: Mapping[str, Any], dictionary: Dictionary
) -> list[str]:
    """What a reader has to know before any number."""
    found = list(training.study.limits)
    leaks = suspected_leaks(training, frame, dictionary)
    if leaks:
        named = "; ".join(
            f"{column} tells {label} (AUROC {auc})" for column, label, auc in leaks[:_NAMED]
        )
        more = f"; and {len(leaks) - _NAMED} more" if len(leaks) > _NAMED else ""
        found.append(
            f"Suspected leaks, columns that alone tell a class: {named}{more}. A finding that "
            "defines its class is none."
        )
    return found


def _refused(gate: Sequence[Condition]) -> list[Text]:
    failed = [one.sentence for one in gate if not one.passed]
    if not failed:
        return [Text(released(gate), "good")]
    return [Text(f"Not fit for release. {' '.join(failed)}", "warning")]


def _release_section(gate: Sequence[Condition]) -> Section:
    if not gate:
        said = Text("The gate did not judge this model when the page was written.", "note")
        return Section("release", "Release", (said,))
    return Section(
        "release",
        "Release",
        (
            *_refused(gate),
            Table(
                "What the gate asks before a model is released",
                ("Condition", "Holds", "What was found"),
                tuple(
                    (one.name.replace("_", " "), "yes" if one.passed else "no", one.sentence)
                    for one in gate
                ),
                words=3,
                strong=frozenset(at for at, one in enumerate(gate) if not one.passed),
                note="As judged when this page was written. Approver and reason are asked for by "
                "the release itself.",
            ),
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
