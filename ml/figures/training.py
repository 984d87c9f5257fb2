"""Figures of a training as files beside its tables: what the tracker shows of a model.

files of ml.training.artifacts -> draw_training, draw_model, draw_survival -> PNG files beside them

The report draws the same figures from the same files, with the names of the clinic.
"""

import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from ml.evaluation.calibration import flexible_curve
from ml.evaluation.curves import (
    binary_answers,
    decision_curve,
    precision_recall,
    roc_curves,
)
from ml.evaluation.survival import (
    GROUPS,
    calibration_at,
    horizons,
    ranked_patients,
    risk_groups,
)
from ml.figures.binary import (
    benefit_figure,
    calibration_figure,
    precision_recall_figure,
    roc_figure,
)
from ml.figures.classes import circos_figure, similar_confusion_figure, similarity_order
from ml.figures.components import (
    circle_figure,
    circles,
    loadings_figure,
    telling_pair,
    variance_figure,
)
from ml.figures.performance import reliability_figure
from ml.figures.shapley import class_importance_figure, decision_figure, importance_figure
from ml.figures.shapley import shown_patients as shown
from ml.figures.survival import horizon_figure, kaplan_meier_figure
from oncoframe.columns import Column

_DPI, _LARGE_DPI = 110, 120
#: Of two classes, a circle and a heat map say nothing that a number does not.
_TWO = 2


def drawing(workers: int) -> AbstractContextManager[Executor]:
    """Processes that draw; they are new ones, so that no thread of training is copied into them."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def draw(make: Callable[[], Figure], file: Path) -> None:
    """Draw one figure into a PNG file."""
    make().savefig(file, dpi=_LARGE_DPI)


def draw_training(folder: Path) -> None:
    """Draw similarity and components of the cohort into the folder of a training."""
    similarity = json.loads((folder / "similarity.json").read_text("utf-8"))
    links = np.asarray(similarity["links"], dtype=np.float64)
    if len(links) > _TWO:
        figure = circos_figure(similarity["classes"], links, similarity_order(links))
        _save(figure, folder, "circos")
    components = json.loads((folder / "components.json").read_text("utf-8"))
    _save(variance_figure(components["cumulative"]), folder, "variance")
    loadings = pl.read_parquet(folder / "loadings.parquet")
    _save(loadings_figure(loadings, short_name), folder, "loadings")
    if loadings["component"].n_unique() > 1:
        circle = circle_figure(circles(loadings), short_name, telling_pair(loadings))
        _save(circle, folder, "correlation_circle")


def draw_model(folder: Path, links: np.ndarray, *, seed: int) -> None:
    """Draw calibration, confusion and Shapley values of a model into its folder.

    Parameters
    ----------
    folder
        Files of the model; what it does not have is not drawn.
    links : (k, k) array
        Similarity of the classes, which orders them.
    seed
        Of the bands.
    """
    _draw_two_classes(folder, seed)
    confusion = json.loads((folder / "confusion.json").read_text("utf-8"))
    counts = np.asarray(confusion["confusion"], dtype=np.float64)
    figure = similar_confusion_figure(confusion["classes"], counts, similarity_order(links))
    _save(figure, folder, "confusion_by_similarity")
    if (folder / "calibration.json").is_file():
        found = json.loads((folder / "calibration.json").read_text("utf-8"))
        curves = {"as the model gives them": "before", "recalibrated": "after"}
        bins = {name: found[key]["reliability"] for name, key in curves.items()}
        _save(reliability_figure(bins), folder, "reliability")
    if (folder / "importance.parquet").is_file():
        importance = pl.read_parquet(folder / "importance.parquet")
        _save(importance_figure(importance, short_name), folder, "importance")
        if len(links) > _TWO:
            _save(class_importance_figure(importance, short_name), folder, "importance_by_class")
        _draw_decisions(folder)


def draw_survival(folder: Path, recipe: str, modality_set: str) -> None:
    """Draw the risk groups of a survival model, and its calibration, into its training's folder."""
    found = ranked_patients(pl.read_parquet(folder / f"risks_{recipe}_{modality_set}.parquet"))
    group = risk_groups(found.risk)
    members = {name: group == at for at, name in enumerate(GROUPS) if (group == at).any()}
    curves = {name: (found.days[of], found.died[of]) for name, of in members.items()}
    _save(kaplan_meier_figure(curves), folder, "kaplan_meier")
    grid = json.loads((folder / "survival.json").read_text("utf-8"))["days"]
    at = [
        calibration_at(found.days, found.died, found.survival[:, grid.index(day)], day)
        for day in horizons(found.days, found.died)
    ]
    if at:
        _save(horizon_figure(at), folder, "calibration_at_horizons")


def _draw_two_classes(folder: Path, seed: int) -> None:
    found = binary_answers(pl.read_parquet(folder / "predictions.parquet"))
    if found is None:
        return
    roc = roc_curves(found.event, found.risks, found.folds, seed=seed)
    if roc is None:
        return
    precision = precision_recall(found.event, found.risk, seed=seed)
    benefit = decision_curve(found.event, found.risk, seed=seed)
    curve = flexible_curve(found.event, found.risk)
    _save(roc_figure(roc), folder, "roc")
    _save(precision_recall_figure(precision, float(found.event.mean())), folder, "precision_recall")
    _save(benefit_figure(benefit), folder, "decision_curve")
    _save(calibration_figure(curve, found.event, found.risk), folder, "calibration_curve")


def short_name(feature: str) -> str:
    """Feature without its table."""
    return Column.parse(feature).within


def _draw_decisions(folder: Path) -> None:
    """One decision plot per class, numbered in the order of their names."""
    answers = first_answers(pl.read_parquet(folder / "predictions.parquet")).sort("patient_id")
    by_class = pl.read_parquet(folder / "shap.parquet").partition_by("class", as_dict=True)
    for number, ((label,), shap) in enumerate(sorted(by_class.items()), start=1):
        own = answers.filter(pl.col("label") == label)
        own = own.filter(pl.col("patient_id").is_in(shap["patient_id"].unique().to_list()))
        drawn = shown((own["predicted"] == label).to_numpy())
        if len(drawn):
            patients = own[drawn]
            figure = decision_figure(
                shap, patients["patient_id"].to_list(), patients["predicted"].to_list(), str(label),
                short_name,
            )  # fmt: skip
            figure.suptitle(str(label), fontsize=9)
            _save(figure, folder, f"decision_{number:02d}")


def first_answers(predictions: pl.DataFrame) -> pl.DataFrame:
    """``patient_id``, ``label``, ``predicted`` and its probability ``p`` in the first repeat.

    Parameters
    ----------
    predictions
        ``predictions.parquet`` of a model.
    """
    first = predictions.filter(pl.col("repeat") == 0)
    columns = [name for name in first.columns if name.startswith("p[")]
    values = first.select(columns).to_numpy()
    best = values.argmax(axis=1)
    return first.select("patient_id", "label").with_columns(
        predicted=pl.Series([columns[i][2:-1] for i in best], dtype=pl.String),
        p=pl.Series(values[np.arange(len(values)), best], dtype=pl.Float64),
    )


def _save(figure: Figure, folder: Path, name: str) -> None:
    figure.savefig(folder / f"{name}.png", dpi=_DPI, bbox_inches="tight", pad_inches=0.1)
