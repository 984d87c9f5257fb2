"""Recipes: unfitted sklearn estimators from a design matrix to class probabilities.

    Recipe (study file) -> build_recipe -> estimator (every fitted step inside) -> cross-validation

A recipe is built anew for each training fold, so nothing in it can have seen a test patient.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import lightgbm as lgb
import xgboost as xgb
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import Pipeline

from ml.pipelines.encoding import dense_encoder, encoder
from ml.pipelines.modality_fusion import LateFusion, ModalityDropout, Stacking
from ml.pipelines.resampling import ClassWeighted, Oversampled
from ml.smears.estimator import BagClassifier
from ml.smears.places import Places
from ml.study.modelling import Recipe
from oncoframe.errors import StudyError

#: Share of the variance that the components of ``xgboost_pca`` hold.
PCA_VARIANCE = 0.99
#: Share of the variance in which prototypes are told apart; what is left is mostly noise.
_PROTOTYPE_VARIANCE = 0.9

#: Setting -> (low, high, whether the logarithm is drawn), integers where both ends are; or names,
#: one of which is drawn.
Space = Mapping[str, tuple[float, float, bool] | tuple[str, ...]]


@dataclass(frozen=True)
class Input:
    """What a recipe has to know of the frame.

    Parameters
    ----------
    views
        Feature table -> modality.
    counts
        Whether the expression is read counts.
    places
        For networks.
    """

    views: Mapping[str, str] = field(default_factory=dict)
    counts: bool = False
    places: Places | None = None


# Small trees, thresholds drawn at random and a third of the columns offered to each: with hundreds
# of patients and thousands of correlated genes, exhaustive split search mostly finds noise. One
# thread per model: folds run side by side instead, and results repeat exactly.
# References: Ke G et al. LightGBM. NeurIPS 2017; Chen T, Guestrin C. XGBoost. KDD 2016;
# Geurts P et al. Extremely randomized trees. Mach Learn 2006;63:3-42;
# Zou H, Hastie T. The elastic net. J R Stat Soc B 2005;67:301-320;
# Snell J et al. Prototypical networks for few-shot learning. NeurIPS 2017.
_OURS: dict[str, dict[str, Any]] = {
    "lightgbm": {
        "n_estimators": 60,
        "learning_rate": 0.1,
        "num_leaves": 6,
        "min_child_samples": 5,
        "extra_trees": True,
        "colsample_bytree": 0.3,
        "subsample": 0.8,
        "subsample_freq": 1,
        "reg_lambda": 1.0,
        "max_bin": 63,
    },
    "xgboost": {
        "n_estimators": 60,
        "learning_rate": 0.15,
        "max_depth": 3,
        "min_child_weight": 1.0,
        "colsample_bytree": 0.3,
        "subsample": 0.8,
        "reg_lambda": 1.0,
        "max_bin": 64,
    },
    "xgboost_pca": {
        "n_estimators": 80,
        "learning_rate": 0.15,
        "max_depth": 3,
        "colsample_bytree": 0.5,
        "subsample": 0.8,
        "max_bin": 64,
    },
    "elastic_net": {"C": 0.01, "l1_ratio": 0.1, "max_iter": 200, "tol": 1e-2},
    "extra_trees": {"n_estimators": 300, "max_features": 0.1, "min_samples_leaf": 2},
    "prototypes": {"shrink_threshold": None, "priors": "empirical"},
}
#: What belongs to no choice: seeds are added, threads and output are fixed.
_FIXED: dict[str, dict[str, Any]] = {
    "lightgbm": {"n_jobs": 1, "deterministic": True, "force_col_wise": True, "verbose": -1},
    "xgboost": {"n_jobs": 1, "tree_method": "hist"},
    "xgboost_pca": {"n_jobs": 1, "tree_method": "hist"},
    "elastic_net": {},
    "extra_trees": {"n_jobs": 1},
    "prototypes": {},
}

#: Model -> what a search may change.
SPACES: dict[str, Space] = {
    "lightgbm": {
        "learning_rate": (0.03, 0.3, True),
        "num_leaves": (3, 24, True),
        "min_child_samples": (2, 20, True),
        "colsample_bytree": (0.05, 0.8, True),
        "reg_lambda": (0.01, 30.0, True),
        "subsample": (0.5, 1.0, False),
    },
    "xgboost": {
        "learning_rate": (0.03, 0.3, True),
        "max_depth": (2, 5, False),
        "min_child_weight": (0.3, 8.0, True),
        "colsample_bytree": (0.05, 0.8, True),
        "reg_lambda": (0.01, 30.0, True),
        "subsample": (0.5, 1.0, False),
    },
    "elastic_net": {"C": (1e-3, 1.0, True), "l1_ratio": (0.0, 1.0, False)},
    "extra_trees": {"max_features": (0.01, 0.5, True), "min_samples_leaf": (1, 8, True)},
    "prototypes": {},
}
SPACES["xgboost_pca"] = SPACES["xgboost"]

#: The same for networks; recipes name the families among which a search may choose.
_NETWORK_SPACE: Space = {
    "learning_rate": (1e-4, 1e-2, True),
    "weight_decay": (1e-6, 1e-2, True),
    "colour_shift": (0.02, 0.3, False),
    "pooling": ("mean", "attention"),
}
#: Options of a network that are none of its settings.
_PRETRAINED, _FAMILIES = "pretrained", "families"

_CLASSES: dict[str, type[BaseEstimator]] = {
    "lightgbm": lgb.LGBMClassifier,
    "xgboost": xgb.XGBClassifier,
    "xgboost_pca": xgb.XGBClassifier,
    "elastic_net": LogisticRegression,
    "extra_trees": ExtraTreesClassifier,
}
_ENSEMBLE = ("lightgbm", "extra_trees")
_SPARSE_MODELS = frozenset({"lightgbm", "xgboost"})


def build_recipe(
    recipe: Recipe, *, seed: int, given: Input = Input(), settings: Mapping[str, Any] | None = None
) -> BaseEstimator:
    """Unfitted estimator of a recipe for classes.

    Parameters
    ----------
    recipe
        Its declaration.
    seed
        Of all that is drawn.
    given
        What it has to know of the frame.
    settings
        What a search found, over the defaults and options.
    """
    options = {**recipe.options, **(settings or {})}
    if recipe.is_network:
        return _network(recipe, seed, given.places, options)
    base = (
        _ensemble(recipe, seed, given)
        if recipe.model == "ensemble"
        else (_base(recipe, seed, given, options))
    )
    if recipe.fusion == "late":
        base = LateFusion(base, views=dict(given.views), random_state=seed)
    elif recipe.fusion == "stacking":
        base = Stacking(base, views=dict(given.views), random_state=seed)
    if recipe.modality_dropout:
        base = ModalityDropout(
            base, views=dict(given.views), share=recipe.modality_dropout, random_state=seed
        )
    return base


def space_of(recipe: Recipe) -> Space:
    """What a search of a recipe may change; nothing: it has none."""
    if not recipe.is_network:
        return SPACES.get(recipe.model, {})
    families = str(recipe.options.get(_FAMILIES, recipe.model)).split()
    return {**_NETWORK_SPACE, "family": tuple(families)}


def starting_settings(recipe: Recipe) -> dict[str, Any]:
    """What a search starts from: the recipe's own settings, as far as they may change."""
    own = {**_OURS.get(recipe.model, {}), **recipe.options}
    if recipe.is_network:
        own = {**BagClassifier(recipe.model).get_params(), **recipe.options}
    return {name: own[name] for name in space_of(recipe) if name in own}


def _network(
    recipe: Recipe, seed: int, places: Places | None, options: Mapping[str, Any]
) -> BagClassifier:
    """Network on the fields of a patient."""
    if places is None:
        raise StudyError(
            "a network needs the fields of the patients, which are not at hand",
            where=f"recipe {recipe.name}",
        )
    weights = ""
    if options.get(_PRETRAINED, False):
        if places.weights is None:
            raise StudyError(
                "the folder of the ImageNet weights is not known",
                where=f"recipe {recipe.name}",
                hint="Name it: ONCOFRAME_SMEAR_WEIGHTS, or train from scratch: pretrained: false.",
            )
        weights = str(places.weights)
    own = {"family": recipe.model, "balance": recipe.sampler != "none"}
    chosen = {n: v for n, v in options.items() if n not in (_PRETRAINED, _FAMILIES)}
    network = BagClassifier(
        bags=str(places.bags),
        weights=weights,
        checkpoints="" if places.checkpoints is None else str(places.checkpoints),
        random_state=seed,
    )
    try:
        network.set_params(**{**own, **chosen})
    except ValueError as error:
        raise StudyError(
            "a network has no such setting", where=f"recipe {recipe.name}", got=", ".join(chosen)
        ) from error
    return network


def _base(recipe: Recipe, seed: int, given: Input, options: Mapping[str, Any]) -> Pipeline:
    """Encoder, sampler and model side by side in one pipeline."""
    dense = recipe.model not in _SPARSE_MODELS or recipe.sampler in {"adasyn", "loras"}
    encode = (dense_encoder if dense else encoder)(counts=given.counts, select=recipe.select)
    steps: list[tuple[str, BaseEstimator]] = [("encode", encode)]
    if recipe.model == "xgboost_pca":
        steps.append(("components", PCA(PCA_VARIANCE, svd_solver="full")))
    if recipe.model == "prototypes":
        return Pipeline([*steps, *_prototypes(options)])
    ours = _OURS[recipe.model] if recipe.defaults == "ours" else {}
    model = _estimator(recipe.model, seed, {**ours, **_FIXED[recipe.model], **options})
    if recipe.sampler == "adasyn" or recipe.sampler == "loras":  # noqa: PLR1714, for mypy
        model = Oversampled(model, method=recipe.sampler, random_state=seed)
    else:
        power = recipe.class_weight_power if recipe.sampler == "class_weights" else 0.0
        model = ClassWeighted(model, power=power)
    return Pipeline([*steps, ("model", model)])


def _ensemble(recipe: Recipe, seed: int, given: Input) -> VotingClassifier:
    """Mean of what two kinds of trees say: boosted ones, and many random ones."""
    members = [
        (model, _base(recipe.model_copy(update={"model": model}), seed, given, {}))
        for model in _ENSEMBLE
    ]
    return VotingClassifier(members, voting="soft")


def _estimator(model: str, seed: int, settings: dict[str, Any]) -> BaseEstimator:
    if model == "elastic_net":
        by_penalty: dict[str, Any] = {"max_iter": 1000}
        if settings.get("l1_ratio"):
            by_penalty = {"solver": "saga"}
        settings = by_penalty | settings
    return _CLASSES[model](random_state=seed, **settings)


def _prototypes(options: Mapping[str, Any]) -> list[tuple[str, BaseEstimator]]:
    """Each class is the mean of its patients in an embedding; the nearest prototype answers."""
    return [
        ("components", PCA(_PROTOTYPE_VARIANCE, svd_solver="full")),
        ("embed", LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto")),
        ("model", NearestCentroid(**{**_OURS["prototypes"], **options})),
    ]
