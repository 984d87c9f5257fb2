"""Sections on why the model answers as it does, and on the shape of the cohort.

importance.parquet, shap.parquet, predictions.parquet, components.json, loadings.parquet,
similarity.json -> sections
"""

from collections.abc import Callable

import numpy as np
import polars as pl

from ml.figures.classes import (
    LINK_FLOOR,
    circos_figure,
    grouped,
    similarity_order,
    strong_links,
)
from ml.figures.components import (
    circle_figure,
    circles,
    loadings_figure,
    modality_reach,
    telling_pair,
    variance_figure,
)
from ml.figures.shapley import (
    MAX_LINES,
    class_importance_figure,
    decision_figure,
    destinations,
    force_figure,
    importance_figure,
    most_important,
    patient_force,
    shown_patients,
)
from ml.figures.style import modality_colour, modality_name, wrapped
from ml.figures.training import first_answers
from ml.report.blocks import (
    Block,
    Circles,
    Gallery,
    Picture,
    Section,
    Table,
    Text,
    number,
    percent,
    picture,
    script_json,
)
from ml.report.words import Dictionary
from ml.training.stored import StoredModel, StoredTraining, read_json, read_table
from oncoframe.modalities import MODULES

_LISTED = 20
#: A task of so many classes has figures of its own; see :mod:`ml.report.binary`.
TWO_CLASSES = 2


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
        *_by_class(importance, called),
        *_decisions(shap, predictions, dictionary),
        *_one_patient(shap, predictions, dictionary),
    ]
    return Section("reasons", "What the model looks at", tuple(blocks))


def _by_class(importance: pl.DataFrame, called: Callable[[str], str]) -> list[Block]:
    if importance["class"].n_unique() == TWO_CLASSES:
        return []
    return [
        picture(
            class_importance_figure(importance, called),
            alt="Heat map of the most important features and the classes they matter for.",
            caption="Which feature matters for which class; the darkest cell of a row is its "
            "largest.",
        )
    ]


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
        drawn = own[shown_patients((own["predicted"] == label).to_numpy())]
        went = destinations(own["predicted"].to_list(), label)
        wrong = "; ".join(f"{number} taken for {name}" for name, number in went) or "none wrong"
        figure = decision_figure(
            by_class[(label,)], drawn["patient_id"].to_list(), drawn["predicted"].to_list(), label,
            dictionary.called,
        )  # fmt: skip
        pictures.append(
            (
                str(label),
                picture(
                    figure,
                    alt=f"Decision plot of {label}: {count} patients, {wrong}.",
                    caption=f"{count} patients, {wrong}"
                    + (f"; {drawn.height} drawn." if drawn.height < count else "."),
                ),
            )
        )
    said = Text(
        "Decision plot of each class, from below to above: how the log-odds of the class add up "
        "for its patients. Patients who were taken for another class are dashed, in a colour for "
        f"each such class. At most {MAX_LINES} patients are drawn, those first."
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
    found = patient_force(own, lambda feature, value: _with_value(feature, value, dictionary))
    return picture(
        force_figure(found),
        alt=f"Force plot: contributions lead from the base value {found.base:.2f} to "
        f"{found.score:.2f}.",
        caption=caption,
    )


def _with_value(feature: str, value: float | None, dictionary: Dictionary) -> str:
    words = dictionary.words(feature)
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
    if len(classes) == TWO_CLASSES:
        # A circle of two says no more than a sentence.
        return [_of_two(classes, links)]
    strong = strong_links(classes, links)
    order = similarity_order(links, grouped(classes, training.study.label.groups))
    return [
        Text(
            "Similarity of entities: of the patients of a class, the share of whose two nearest "
            "neighbours belong to another. Neighbours are found in all columns, without labels."
        ),
        picture(
            circos_figure(classes, links, order),
            alt=f"Circos plot of {len(classes)} classes; the {len(strong)} links are in the table "
            "below.",
            caption="At each class its number and the share of neighbours of the same class; a "
            f"ribbon, from {percent(LINK_FLOOR)} on, has the colour of the class that it leaves, "
            "and its percent. In the table: numbers of the classes next to it, with percent.",
        ),
        Table(
            f"Links of at least {percent(LINK_FLOOR)}",
            ("Patients of", "lie next to", "Share"),
            tuple((one, other, percent(share)) for one, other, share in strong),
            words=2,
        ),
    ]


def _of_two(classes: list[str], links: np.ndarray) -> Text:
    said = "; ".join(
        f"of {name}, {percent(links[at, at])} of the same class" for at, name in enumerate(classes)
    )
    return Text(f"Similarity: two nearest neighbours of each patient, found in all columns without "
                f"labels: {said}.")  # fmt: skip


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
            loadings_figure(loadings, dictionary.called),
            alt=f"Heat map of the loadings of {kept} components, rows coloured by modality.",
            caption=f"Loadings of the first {kept} components, columns of the data with the "
            "largest loadings; the strongest carry their names.",
        ),
    ]  # fmt: skip
    return [*blocks, _circles(loadings, dictionary)] if kept > 1 else blocks


def _circles(loadings: pl.DataFrame, dictionary: Dictionary) -> Circles:
    found, (one, other) = circles(loadings), telling_pair(loadings)
    reach = modality_reach(loadings).filter(one=one, other=other)["modalities"][0]
    return Circles(
        picture(
            circle_figure(found, dictionary.called, (one, other)),
            alt=f"Correlation circle of components {one} and {other} with the farthest columns.",
            caption="Correlation circle of the columns that lie farthest out, among them the "
            f"farthest of each modality. Components {one} and {other} stand here at first: of all "
            f"pairs, most modalities ({reach}) load on them.",
        ),
        script_json(
            {
                "components": found.correlations.shape[1],
                "pair": [one, other],
                "features": [
                    {
                        "n": wrapped([dictionary.called(feature)], 36)[0].split("\n"),
                        "c": modality_colour(modality),
                        "r": [round(float(value), 3) for value in row],
                    }
                    for feature, modality, row in zip(
                        found.features, found.modalities, found.correlations, strict=True
                    )
                ],
                "legend": [
                    [modality_name(name), modality_colour(name)]
                    for name in MODULES
                    if name in found.modalities
                ],
                "shown": {f"{i} {j}": at for (i, j), at in found.shown.items()},
            }
        ),
    )
