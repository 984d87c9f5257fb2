"""How well the synthetic leukaemias are told apart, against what was planted.

    simulate -> run -> train synthetic_leukemia -> accuracy, coverage, SHAP against truth.json

Each line is one measurement as JSON. Run with the number of patients and the seed of the cohort:
``python benchmarks/leukemia.py 4500 7``.
"""

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
from scipy.stats import binom

from assets.simulate.landing_zone import simulate
from ml.registry.trainings import newest_training
from ml.training.stored import StoredModel
from orchestration.definitions import pipeline_of
from orchestration.pipeline import open_instance
from orchestration.progress import Progress
from orchestration.settings import Settings

STUDY, PATIENTS, SEED = "synthetic_leukemia", 4500, 7
#: Features looked at, globally and for each class.
FIRST = 20
#: Classes whose coverage is looked at, and how far it may be from what was asked.
LARGE_CLASS, TOLERANCE = 50, 0.02
#: Laboratory values that the simulator draws alike for every entity.
UNRELATED = ("alt_u", "ast_u", "albumin", "creatinine", "total_protein")


def main() -> None:
    """Measure one cohort."""
    patients, seed = (int(given) for given in (*sys.argv[1:], PATIENTS, SEED)[:2])
    with tempfile.TemporaryDirectory() as scratch:
        landing = Path(scratch) / "landing"
        simulate(landing, patients=patients, seed=seed)
        truth = json.loads((landing / "truth.json").read_text())
        settings = Settings.load(home=Path(scratch) / "home", landing=str(landing))
        with open_instance(settings.dagster_dir) as instance:
            pipeline = pipeline_of(settings, instance, Progress())
            pipeline.run()
            result = pipeline.train(STUDY)
        best = newest_training(STUDY, store=settings.registry).best
        say_accuracy(result, truth)
        say_coverage(json.loads((best.folder / "coverage.json").read_text()))
        say_importance(best, truth)


def say_accuracy(result: dict[str, Any], truth: dict[str, Any]) -> None:
    """Accuracy of every modality set, and the distance of the best one from the Bayes rate."""
    best = result["best"]
    say(
        "accuracy against the planted Bayes rate",
        patients=best["patients"],
        classes=best["classes"],
        accuracy=best["accuracy"],
        interval=best["accuracy_ci"],
        macro_f1=best["macro_f1"],
        bayes=truth["bayes_accuracy"],
        bayes_of_these_files=truth["observed_bayes_accuracy"],
        below=truth["bayes_accuracy"] - best["accuracy"],
        by_set={row["modalities"]: row["accuracy"] for row in result["recipes"]},
        shuffled={row["modalities"]: row["auroc"] for row in result["permuted"]},
    )


def say_coverage(found: dict[str, Any]) -> None:
    """Coverage of the prediction sets; of a class, chance alone moves it by more than 2 points."""
    asked = found["asked"]
    large = [row for row in found["by_class"] if row["patients"] >= LARGE_CLASS]
    values = [row["coverage"][0] for row in large]
    say(
        "coverage of prediction sets",
        asked=asked,
        overall=found["overall"],
        mean_size=found["mean_size"][0],
        classes=len(large),
        lowest=min(values, default=None),
        highest=max(values, default=None),
        within_2_points=sum(abs(value - asked) <= TOLERANCE + 1e-9 for value in values),
        expected_within_by_chance=sum(_within(row["patients"], asked) for row in large),
    )


def _within(patients: int, asked: float) -> float:
    """Chance that patients drawn with exactly the asked coverage come to lie within 2 points."""
    low, high = patients * (asked - TOLERANCE), patients * (asked + TOLERANCE)
    return float(binom.cdf(high + 1e-9, patients, asked) - binom.cdf(low - 1e-9, patients, asked))


def say_importance(model: StoredModel, truth: dict[str, Any]) -> None:
    """Whether the first features are planted ones, and whether a class's own lesions are there."""
    importance = pl.read_parquet(model.folder / "importance.parquet")
    size = pl.col("mean_abs_shap")
    ranked = importance.group_by("feature").agg(size.sum()).sort(size, descending=True)["feature"]
    lesions = {entity["name"]: _lesions(entity) for entity in truth["entities"].values()}
    programs = {
        gene for entity in truth["entities"].values()
        for gene in (*entity["genes_up"], *entity["genes_down"])
    }  # fmt: skip
    every = programs.union(*lesions.values())
    found = {}
    for name, own in lesions.items():
        of_class = importance.filter(pl.col("class") == name).sort(size, descending=True)
        if own and len(of_class):
            first = of_class["feature"].head(FIRST)
            found[name] = any(_words(feature) & own for feature in first)
    say(
        "planted biomarkers among the first features by SHAP",
        first=ranked.head(FIRST).to_list(),
        planted=sum(_is_planted(feature, every) for feature in ranked.head(FIRST)),
        classes_with_a_lesion=len(found),
        own_lesion_among_first=sum(found.values()),
        without=[name for name, is_found in found.items() if not is_found],
    )


def _lesions(entity: dict[str, Any]) -> set[str]:
    """Genes that are mutated or fused in at least half of the patients of an entity."""
    common = [
        name
        for kind in ("mutated_genes", "fusions")
        for name, share in entity[kind].items()
        if share >= 0.5
    ]
    return {gene for name in common for gene in re.split("::|-(?=bZIP|ITD|N$)", name)[:2]}


def _words(feature: str) -> set[str]:
    """Gene symbols and other words in the name of a column."""
    return set(re.split(r"[^A-Za-z0-9-]+|_", feature.partition("__")[2]))


def _is_planted(feature: str, genes: set[str]) -> bool:
    if feature.startswith("clinical_features__"):
        return not any(name in feature for name in UNRELATED)
    return bool(_words(feature) & genes) or "defining" in feature or "related" in feature


def say(what: str, **values: object) -> None:
    """Print one measurement."""
    rounded = {name: _rounded(value) for name, value in values.items()}
    sys.stdout.write(json.dumps({"benchmark": "leukemia", "what": what, **rounded}) + "\n")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return {k: _rounded(v) for k, v in value.items()} if isinstance(value, dict) else value


if __name__ == "__main__":
    main()
