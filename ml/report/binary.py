"""Section on a task of two classes: how well the rarer one is found, and what acting on it means.

predictions.parquet -> curves of ml.evaluation.curves -> figures, table of thresholds -> section
"""

import polars as pl

from ml.evaluation.calibration import flexible_curve
from ml.evaluation.curves import (
    binary_answers,
    decision_curve,
    precision_recall,
    roc_curves,
    threshold_table,
)
from ml.figures.binary import (
    benefit_figure,
    calibration_figure,
    precision_recall_figure,
    roc_figure,
)
from ml.report.blocks import (
    NONE,
    Gallery,
    Section,
    Table,
    Text,
    interval,
    number,
    percent,
    picture,
    whole,
)
from ml.report.facts import row_of
from ml.training.stored import StoredModel, StoredTraining, read_table


def binary_section(training: StoredTraining, model: StoredModel) -> Section | None:
    """Curves and thresholds of a model of two classes; None for any other."""
    predictions = read_table(model.folder, "predictions.parquet")
    found = None if predictions is None else binary_answers(predictions)
    if found is None:
        return None
    seed = training.study.cross_validation.seed
    title = f"Looking for: {found.looked_for}"
    curve = roc_curves(found.event, found.risks, found.folds, seed=seed)
    if curve is None:
        said = "No fold holds patients of both classes: there is nothing to compare."
        return Section("two", title, (Text(said, "warning"),))
    area = row_of(training.result, model)
    says = interval([area.get("auroc"), *area.get("auroc_ci", [None, None])])
    events, share = int(found.event.sum()), float(found.event.mean())
    calibrated = "calibrated" if found.is_calibrated else "uncalibrated"
    curves = Gallery(
        (
            (
                "ROC curve",
                picture(
                    roc_figure(curve),
                    alt=f"ROC curve of each fold and their mean; AUROC {says}.",
                    caption=f"AUROC {says}, of pairs of patients tested in one fold.",
                ),
            ),
            (
                "Precision and recall",
                picture(
                    precision_recall_figure(
                        precision_recall(found.event, found.risk, seed=seed), share
                    ),
                    alt="Precision at each recall, with its band.",
                    caption=f"{calibrated.capitalize()} probabilities of the first repeat.",
                ),
            ),
        )
    )
    calibration = flexible_curve(found.event, found.risk)
    return Section(
        "two",
        title,
        (
            Text(
                f"The rarer class, {found.looked_for}, is what is looked for: {events} of "
                f"{len(found.event)} patients ({percent(share, 1)}). A risk is its {calibrated} "
                "probability, by models that never saw the patient."
            ),
            curves,
            picture(
                calibration_figure(calibration, found.event, found.risk),
                alt="Observed share of events at each predicted risk, and how risks are spread: "
                f"mean risk {found.risk.mean():.3f}, observed {share:.3f}.",
                caption=f"Calibration: mean predicted risk {number(float(found.risk.mean()))}, "
                f"observed share {number(share)}. Below: patients with (up) and without (down)."
                + ("" if calibration else " There are too few patients for a curve."),
            ),
            picture(
                benefit_figure(decision_curve(found.event, found.risk, seed=seed)),
                alt="Net benefit of acting on the model, on everybody and on nobody.",
                caption="Decision curve: where the model lies above both other lines, acting on "
                "it does more good than harm. False alarms count by the odds of the threshold.",
            ),
            _thresholds(threshold_table(found.event, found.risk)),
        ),
    )


def _thresholds(table: pl.DataFrame) -> Table:
    shares = ("sensitivity", "specificity", "ppv", "npv")
    return Table(
        "What acting on a risk from each threshold would mean, 95 % intervals",
        ("Risk from", "Patients", "Share of all", "Sensitivity", "Specificity",
         "Positive predictive value", "Negative predictive value"),
        tuple(
            (percent(row["threshold"]), whole(row["patients"]), percent(row["share"]),
             *(NONE if row[name] is None else interval(row[name], 2) for name in shares))
            for row in table.iter_rows(named=True)
        ),
        note="Wilson intervals, which take each threshold by itself: one that is chosen by this "
        "table has to be tried on other patients.",
    )  # fmt: skip
