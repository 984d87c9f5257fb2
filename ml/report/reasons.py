"""Sections on why the model answers as it does, and on the shape of the cohort.

importance.parquet, shap.parquet, predictions.parquet, components.json, loadings.parquet,
similarity.json -> sections
"""

import numpy as np
import polars as pl

from ml.explain.names import BASE, OTHERS
from ml.figures.components import circle_figure, loadings_figure, variance_figure
from ml.figures.performance import LINK_FLOOR, circos_figure, similarity_order, strong_links
from ml.figures.shapley import (
    MAX_LINES,
    REST,
    class_importance_figure,
    decision_figure,
    force_figure,
    importance_figure,
    most_important,
    shown_patients,
)
from ml.figures.style import modality_name
from ml.figures.training import first_answers
from ml.report.blocks import Block, Gallery, Picture, Section, Table, Text, number, percent, picture
from ml.report.words import Dictionary
from ml.training.stored import StoredModel, StoredTraining, read_json, read_table

_LISTED = 20


def reasons_section(model: StoredModel, dictionary: Dictionary) -> Section:
    """Shapley values of the cohort, of every class, and of one patient."""
    importance = read_table(model.folder, "importance.parquet")
    shap = read_table(model.folder, "shap.parquet")
    predictions = read_table(model.folder, "predictions.parquet")
    if importance is None or shap is None or predictions is None:
        text = "This recipe is no boosted model of its own columns: it has no Shapley values."
        return Section("reasons", "What the model looks at", (Text(text, "warning"),))
    called = dictionary.called
    top = most_important(importance, _LISTED)
    blocks: list[Block] = [
        Text(
            "Shapley values say what each feature adds to the log-odds of a class for a patient, "
            "by models that never saw the patient. They describe the model, not a cause."
        ),
        picture(
            importance_figure(importance, called),
            alt="Bar chart of the most important features; the table below names them.",
            caption="Most important features of the cohort, coloured by modality.",
        ),
        Table(
            "Most important features",
            ("Feature", "Meaning", "Assay", "Mean contribution"),
            tuple(_feature_row(row, dictionary) for row in top.iter_rows()),
            words=3,
        ),
        picture(
            class_importance_figure(importance, called),
            alt="Heat map of the most important features and the classes they matter for.",
            caption="Which feature matters for which class; the darkest cell of a row is its "
            "largest.",
        ),
        *_decisions(shap, predictions, dictionary),
        *_one_patient(shap, predictions, dictionary),
    ]
    return Section("reasons", "What the model looks at", tuple(blocks))


def _feature_row(row: tuple[str, str, float], dictionary: Dictionary) -> tuple[str, ...]:
    feature, modality, value = row
    words = dictionary.words(feature)
    return words.name, words.meaning, modality_name(modality or ""), number(value)


def _decisions(
    shap: pl.DataFrame, predictions: pl.DataFrame, dictionary: Dictionary
) -> list[Block]:
    answers = first_answers(predictions).sort("patient_id")
    explained = answers.filter(pl.col("patient_id").is_in(shap["patient_id"].unique().to_list()))
    sizes = explained["label"].value_counts().sort("count", "label", descending=[True, False])
    pictures = []
    by_class = shap.partition_by("class", as_dict=True)
    for label, count in sizes.iter_rows():
        own = explained.filter(pl.col("label") == label)
        recognised = (own["predicted"] == label).to_numpy()
        drawn = shown_patients(own["patient_id"].to_list(), recognised)
        ids = own["patient_id"].gather(drawn).to_list()
        wrong = int((~recognised).sum())
        figure = decision_figure(by_class[(label,)], ids, recognised[drawn], dictionary.called)
        pictures.append(
            (
                str(label),
                picture(
                    figure,
                    alt=f"Decision plot of {label}: {count} patients, {wrong} misclassified.",
                    caption=f"{count} patients, {wrong} misclassified"
                    + (f"; {len(ids)} drawn." if len(ids) < count else "."),
                ),
            )
        )
    said = Text(
        "Decision plot of each class, from below to above: how the log-odds of the class add up "
        "for its patients. Misclassified patients are dashed and orange. At most "
        f"{MAX_LINES} patients are drawn, the misclassified first."
    )
    return [said, Gallery(tuple(pictures))]


def _one_patient(
    shap: pl.DataFrame, predictions: pl.DataFrame, dictionary: Dictionary
) -> list[Block]:
    """Force plot of the median patient among the recognised ones of the largest class."""
    answers = first_answers(predictions)
    sizes = answers["label"].value_counts().sort("count", "label", descending=[True, False])
    for label in sizes["label"]:
        right = answers.filter(
            (pl.col("label") == label)
            & (pl.col("predicted") == label)
            & pl.col("patient_id").is_in(shap["patient_id"].unique().to_list())
        ).sort("p", "patient_id")
        if right.height:
            patient = right["patient_id"][right.height // 2]
            own = shap.filter(patient_id=patient).filter(pl.col("class") == label)
            return [
                force_picture(
                    own, dictionary,
                    caption=f"One patient of {label}, recognised with the median probability "
                    f"({percent(right['p'][right.height // 2])}): what adds to the log-odds.",
                )
            ]  # fmt: skip
    return []


def force_picture(own: pl.DataFrame, dictionary: Dictionary, *, caption: str) -> Picture:
    """Force plot of the rows of one patient and class."""
    own = _spelled(own)
    base = float(own.filter(feature=BASE)["shap"].sum())
    parts = [
        (REST if f == OTHERS else _with_value(f, value, dictionary), float(added))
        for f, value, added in own.filter(pl.col("feature") != BASE)
        .select("feature", "value", "shap")
        .iter_rows()
    ]
    total = base + sum(added for _, added in parts)
    return picture(
        force_figure(parts, base),
        alt=f"Force plot: contributions lead from the base value {base:.2f} to {total:.2f}.",
        caption=caption,
    )


def _spelled(own: pl.DataFrame) -> pl.DataFrame:
    """Rows in which a text column is called ``<column>_<category>``, and has the value 1."""
    if "category" not in own.columns:
        return own  # stored by a version that had a row per category
    is_text = pl.col("category").is_not_null()
    return own.with_columns(
        feature=pl.when(is_text).then(pl.format("{}_{}", "feature", "category"))
        .otherwise("feature"),
        value=pl.when(is_text).then(1.0).otherwise("value"),
    )  # fmt: skip


def _with_value(feature: str, value: float | None, dictionary: Dictionary) -> str:
    words = dictionary.words(feature)
    if words.category is not None and value:
        return words.name
    return f"{words.name}: {words.said(value)}"


def shape_section(training: StoredTraining, dictionary: Dictionary) -> Section:
    """Similarity of the classes and principal components; nothing here was seen by a model."""
    blocks: list[Block] = [*_similarity(training), *_components(training, dictionary)]
    if not blocks:
        blocks = [Text("The training kept neither neighbours nor components.", "warning")]
    return Section("shape", "Similarity of entities, components", tuple(blocks))


def _similarity(training: StoredTraining) -> list[Block]:
    found = read_json(training.folder, "similarity.json")
    if found is None:
        return []
    classes, links = found["classes"], np.asarray(found["links"], dtype=np.float64)
    strong = strong_links(classes, links)
    return [
        Text(
            "Similarity of entities: of the patients of a class, the share of whose two nearest "
            "neighbours belong to another. Neighbours are found in all columns, without labels."
        ),
        picture(
            circos_figure(classes, links, similarity_order(links)),
            alt=f"Circos plot of {len(classes)} classes; the {len(strong)} links are in the table "
            "below.",
            caption=f"Links of at least {percent(LINK_FLOOR)}; a ribbon has the colour of the "
            "class that it leaves.",
        ),
        Table(
            f"Links of at least {percent(LINK_FLOOR)}",
            ("Patients of", "lie next to", "Share"),
            tuple((one, other, percent(share)) for one, other, share in strong),
            words=2,
        ),
    ]


def _components(training: StoredTraining, dictionary: Dictionary) -> list[Block]:
    components = read_json(training.folder, "components.json")
    loadings = read_table(training.folder, "loadings.parquet")
    if components is None or loadings is None or loadings.is_empty():
        return []
    shares = components["cumulative"]
    kept = int(loadings["component"].max())  # type: ignore[arg-type]
    blocks: list[Block] = [
        Text("Principal components of all scaled columns of the largest modality set describe the "
             "cohort; only recipes with a PCA use components, fitted within each training fold."),
        picture(
            variance_figure(shares),
            alt=f"Cumulative variance; {len(shares)} components hold {percent(shares[-1])}.",
            caption="Cumulative share of the variance.",
        ),
        picture(
            loadings_figure(loadings),
            alt=f"Heat map of the loadings of {kept} components, columns coloured by modality.",
            caption=f"Loadings of the first {kept} components, columns with the largest loadings.",
        ),
    ]  # fmt: skip
    if kept > 1:
        blocks.append(
            picture(
                circle_figure(loadings, dictionary.called),
                alt="Correlation circle of the first two components with the farthest columns.",
                caption="Correlation circle: columns that lie farthest out.",
            )
        )
    return blocks
