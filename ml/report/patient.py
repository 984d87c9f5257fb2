"""The page of one patient: answer, assays, reasons, nearest patients, warnings.

StoredTraining, Frame, pseudonym -> case -> sections -> Page -> HTML

Made from the stored model and a frame; nothing is trained. A patient of the training is answered
for by the models of the cross-validation that never saw the patient, any other by the stored model.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from ml.figures.style import modality_name
from ml.frames.frame import read_frame
from ml.report.blocks import (
    NONE,
    Block,
    FactList,
    Page,
    Section,
    Table,
    Text,
    Tile,
    number,
    percent,
    render,
    signed,
    whole,
)
from ml.report.classes import with_class_words
from ml.report.patient_facts import Case, CaseReason, open_case
from ml.report.reasons import force_picture
from ml.report.study import frame_dictionary, frame_sidecar
from ml.report.words import Dictionary, Evidence
from ml.study.definition import Language
from ml.training.stored import StoredTraining, read_table
from oncoframe.facts import in_words

#: Classes listed with their probabilities, beside those in the prediction set.
_LISTED_CLASSES = 8
#: Shares nearer to 0 or 1 than this would be shown as 0 or 100 %.
_NEARLY = 0.005


def patient_report(
    training: StoredTraining,
    frame_dir: Path,
    patient_id: str,
    *,
    evidence: Mapping[str, Evidence] | None = None,
    files: pl.DataFrame | None = None,
    language: Language = "en",
) -> str:
    """Page of one patient, as HTML.

    Parameters
    ----------
    training
        From the registry; its best model answers.
    frame_dir
        Folder of the frame it was trained on, or of one of everyone of the same study.
    patient_id
        Pseudonym of a patient of that frame.
    evidence
        Id of a biomarker -> what it is and who says so.
    files
        Facts of the patient's files, with the columns of :data:`oncoframe.facts.SCHEMA`.
    language
        That classes are called in.

    Raises
    ------
    StudyError
        If the frame is not there or does not hold the patient.
    """
    sidecar, frame = frame_sidecar(frame_dir), read_frame(frame_dir)
    dictionary = frame_dictionary(sidecar, frame.rows.schema, evidence)
    with TemporaryDirectory() as scratch:
        said = with_class_words(training, Path(scratch), language)
        case = open_case(said, frame, patient_id, sidecar.get("excluded", {}))
        return render(patient_page(said, case, dictionary, files))


def patient_page(
    training: StoredTraining,
    case: Case,
    dictionary: Dictionary,
    files: pl.DataFrame | None = None,
) -> Page:
    """Page of a case that was opened."""
    model = training.best
    best = case.answer.best
    sets = case.answer.in_set
    return Page(
        title=f"Patient {case.patient_id}: {training.study.title}",
        heading=f"Patient {case.patient_id}",
        subheading=training.study.title,
        header=FactList(
            (
                ("Pseudonym", case.patient_id),
                ("Index date", f"{case.index:%Y-%m-%d}"),
                ("Class in the frame", case.label or "not known"),
                ("Model", model.name),
                ("Model version", model.run_id),
                ("Study", training.study.name),
                ("Frame", case.frame_id),
                ("Code version", training.code_version),
            )
        ),
        headline=(
            Tile("Most probable class", best, f"probability {percent(case.answer.of(best), 1)}"),
            Tile("Prediction set", "abstained" if case.answer.abstained else "answered",
                 f"{len(sets)} of {len(case.answer.classes)} classes in the set"),
        ),
        warnings=tuple(warnings(training, case, dictionary)),
        sections=(
            _answer_section(case, training.study.conformal.coverage),
            _assay_section(case, files),
            _reason_section(training, case, dictionary),
            _neighbour_section(training, case),
        ),
    )  # fmt: skip


def warnings(training: StoredTraining, case: Case, dictionary: Dictionary) -> list[str]:
    """What a reader has to know before the answer."""
    found, unusual = [], case.unusual
    if case.out_of_fold is not None:
        found.append(
            "This patient was among those the stored model was fitted on. The answer shown first "
            "is that of cross-validation, by models that never saw the patient; the reasons are "
            "those of the stored model."
        )
    size = len(case.answer.in_set)
    if not size:
        found.append("The model abstains: no class is probable enough, the patient is unlike those "
                     "it learned from.")  # fmt: skip
    elif case.answer.abstained:
        found.append(f"The model abstains: {size} classes cannot be told apart "
                     f"({'; '.join(case.answer.in_set)}).")  # fmt: skip
    missing = [modality_name(m) for m in case.uses if m in case.performed and not case.performed[m]]
    if missing:
        found.append(f"Not performed or failed: {', '.join(missing)}. The model answers without "
                     "them.")  # fmt: skip
    if unusual.scalars:
        names = ", ".join(dictionary.called(name) for name in unusual.scalars)
        found.append(f"Outside the range of the other patients: {names}.")
    if unusual.block_values and unusual.block_beyond > 2 * unusual.block_expected:
        found.append(
            f"{whole(unusual.block_beyond)} of {whole(unusual.block_values)} values of genes lie "
            "outside the range of the other patients; about "
            f"{whole(unusual.block_expected)} would by chance."
        )
    if not (training.best.folder / "calibration.json").is_file():
        found.append("The probabilities were never calibrated.")
    return [*found, *training.study.limits]


def _answer_section(case: Case, coverage: float) -> Section:
    answer, stored = case.answer, case.stored
    order = sorted(answer.classes, key=lambda name: (-answer.of(name), name))
    listed = [n for i, n in enumerate(order) if i < _LISTED_CLASSES or n in answer.in_set]
    both = case.out_of_fold is not None
    heads = ["Class", "In the set", "Probability"] + (["Stored model"] if both else [])
    rows = [
        (
            name,
            "yes" if name in answer.in_set else "",
            percent(answer.of(name), 1),
            *([percent(stored.of(name), 1)] if both else []),
        )
        for name in listed
    ]
    rest = 1 - sum(answer.of(name) for name in listed)
    note = (
        f"The set is made to hold the true class for {percent(coverage)} of the patients of each "
        "class."
    )
    if len(order) > len(listed):
        note += f" {len(order) - len(listed)} more classes share {percent(max(rest, 0), 1)}."
    if both:
        note += " Stored model: has seen this patient and is surer than it should be."
    return Section(
        "answer",
        "Answer",
        (
            Table(
                "Classes by probability", tuple(heads), tuple(rows), words=2,
                strong=frozenset(i for i, n in enumerate(listed) if n in answer.in_set), note=note,
            ),
        ),
    )  # fmt: skip


def _assay_section(case: Case, files: pl.DataFrame | None) -> Section:
    rows = tuple(
        (modality_name(m), "performed" if done else "not performed, or failed",
         "yes" if m in case.uses else "no")
        for m, done in sorted(case.performed.items())
    )  # fmt: skip
    table = Table("Assays known at the index date", ("Assay", "Status", "Used by the model"), rows,
                  words=3)  # fmt: skip
    return Section("assays", "Assays", (table, *_file_tables(case, files)))


def _file_tables(case: Case, files: pl.DataFrame | None) -> list[Block]:
    """Files up to the index date, and what a person needs to trust what was read from them."""
    if files is None:
        return []
    known = files.filter(pl.col("event_timestamp") <= case.index).rows(named=True)
    rows = [
        (modality_name(one["modality"]), f"{one['event_timestamp']:%Y-%m-%d}", what, said)
        for one in known
        for what, said in (in_words(one) or {"Not recorded": "read by an older version"}).items()
    ]
    heads = ("Assay", "Date", "Fact", "Value")
    caption = "Files up to the index date, as they stand now"
    return [Table(caption, heads, tuple(rows), words=4)] if rows else []


def _reason_section(training: StoredTraining, case: Case, dictionary: Dictionary) -> Section:
    title = "Strongest reasons"
    if not case.reasons:
        said = Text("This recipe has no Shapley values, so it can give no reasons.", "warning")
        return Section("reasons", title, (said,))
    blocks: list[Block] = [
        Text(
            f"What speaks for (+) or against (-) {case.answer.best} in the stored model, in "
            "log-odds, strongest first. It describes the model, not a cause."
        ),
        Table(
            "Ten strongest reasons",
            ("Finding", "Value", "Meaning", "Evidence", "Contribution"),
            tuple(_reason_row(reason, dictionary) for reason in case.reasons),
            words=4,
        ),
        *_cited(case.reasons, dictionary),
    ]
    shap = read_table(training.best.folder, "shap.parquet")
    if shap is not None and case.out_of_fold is not None:
        own = shap.filter(
            (pl.col("patient_id") == case.patient_id) & (pl.col("class") == case.answer.best)
        )
        if own.height:
            blocks.append(
                force_picture(
                    with_stored_values(own, case), dictionary,
                    caption=f"Cross-validation: what adds to the log-odds of {case.answer.best}, "
                    "by a model that never saw the patient. Values are those of the stored model: "
                    "the model of the fold learned from fewer patients, and steps that are fitted "
                    "over patients, such as the normalisation of expression, gave it values that "
                    "differ a little.",
                )
            )  # fmt: skip
    return Section("reasons", title, tuple(blocks))


def with_stored_values(own: pl.DataFrame, case: Case) -> pl.DataFrame:
    """Rows of a patient with the values of the stored model, where it knows the feature."""
    known = pl.DataFrame(
        {"feature": list(case.values), "stored": list(case.values.values())},
        schema={"feature": pl.String, "stored": pl.Float32},
    )
    joined = own.join(known, on="feature", how="left", maintain_order="left")
    return joined.with_columns(value=pl.coalesce("stored", "value")).drop("stored")


def _reason_row(reason: CaseReason, dictionary: Dictionary) -> tuple[str, ...]:
    words = dictionary.words(reason.feature)
    name, value = words.name, words.said(reason.value)
    if words.category is not None and reason.value:
        name, value = words.question, words.category
    if reason.above is not None and not words.is_flag:
        value += f" ({_rank(reason.above)})"
    evidence = "; ".join(words.evidence.citations) if words.evidence else NONE
    # A title is often the whole meaning; said once is enough.
    meaning = "" if words.meaning.rstrip(".").lower() == name.lower() else words.meaning
    return name, value, meaning, evidence, signed([reason.shap, None, None], 2)


def _rank(above: float) -> str:
    """Where a value lies among the others, given the share that lies below it."""
    if above in {0, 1}:
        return "above all others" if above else "not above any other"
    if min(above, 1 - above) < _NEARLY:
        return f"{'above' if above > _NEARLY else 'not above'} nearly all others"
    return f"above {percent(above)} of the others"


def _cited(reasons: Sequence[CaseReason], dictionary: Dictionary) -> list[Block]:
    named = [dictionary.words(reason.feature) for reason in reasons]
    if any(words.evidence for words in named):
        return []
    return [Text("None of these reasons is a biomarker of the panel; there is no citation for "
                 "them.", "note")]  # fmt: skip


def _neighbour_section(training: StoredTraining, case: Case) -> Section:
    title = "Nearest patients of the training"
    table = read_table(training.folder, "neighbours.parquet")
    own = table.filter(pl.col("patient_id") == case.patient_id) if table is not None else None
    if own is None or own.is_empty():
        said = Text("The training kept no neighbours of this patient.", "warning")
        return Section("neighbours", title, (said,))
    classes = (
        own.sort("rank")
        .group_by("label", maintain_order=True)
        .agg(pl.col("neighbour"), pl.col("distance").min(), pl.len().alias("patients"))
        .sort("patients", "distance", descending=[True, False])
    )
    return Section(
        "neighbours",
        title,
        (
            Table(
                f"The {own.height} nearest patients, by class",
                ("Class", "Pseudonyms, nearest first", "Patients", "Least distance"),
                tuple(
                    (str(label), ", ".join(who), str(n), number(distance, 2))
                    for label, who, distance, n in classes.iter_rows()
                ),
                words=2,
                note="Distance in the principal components of all columns; labels play no part.",
            ),
        ),
    )
