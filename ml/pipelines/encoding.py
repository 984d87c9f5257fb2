"""The first step of every recipe: a data frame of a design matrix becomes numbers.

    features -> encoder (vary enough? counts to log CPM, categories to flags) -> trees
             -> dense encoder (gaps filled, scaled) -> linear models, components, distances

Trees take gaps as they are. Other models get what a gap in a performed assay most likely is, and
for an assay that was not performed the median, beside the flag that says so.

All of it is fitted inside the training fold.
"""

from functools import cache

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ml.pipelines.preprocessing import (
    FILL_BY_MODALITY,
    AssayImputer,
    BiomarkerVarianceSelector,
    RareColumnFilter,
    TmmNormalizer,
    varying,
)
from oncoframe.columns import Column
from oncoframe.contracts import Modality

#: A column is worth looking at if it sets this many training patients apart.
MIN_PATIENTS = 3
#: A category has a flag of its own if this many training patients share it.
MIN_CATEGORY_PATIENTS = 5
#: What a column is by its name.
_SCALAR, _EXPRESSION, _RATIO, _BLOCK = range(4)


def encoder(
    *, counts: bool = False, select: int | None = None, fill: bool = False
) -> ColumnTransformer:
    """Unfitted step: varying numbers, and one flag per category that five patients share.

    Parameters
    ----------
    counts
        Whether the expression is read counts, to be normalised (TMM, log2 CPM).
    select
        Positions of blocks that stay, by their variance; all unless told. Scalars always stay.
    fill
        Fill gaps within performed assays: of counts with no read, of copy-number ratios with the
        lowest one.
    """
    categories = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=MIN_CATEGORY_PATIENTS,
        sparse_output=False,
        dtype=np.float32,
    )
    expression = [*_filled(Modality.EXPRESSION, fill=fill), ("normalize", TmmNormalizer())]
    ratios = _filled(Modality.CNV, fill=fill)
    return ColumnTransformer(
        [
            ("scalars", RareColumnFilter(min_patients=MIN_PATIENTS), is_scalar),
            ("expression", Pipeline([*(expression if counts else []), *_columns(select)]),
             is_expression),
            ("ratios", Pipeline([*ratios, *_columns(select)]), is_ratio),
            ("blocks", Pipeline(_columns(select)), is_other_block),
            ("categories", categories, is_category),
        ],
        verbose_feature_names_out=False,
    )  # fmt: skip


def dense_encoder(*, counts: bool = False, select: int | None = None) -> Pipeline:
    """As :func:`encoder`, with gaps filled and all columns scaled.

    What :class:`~ml.pipelines.preprocessing.AssayImputer` leaves open is put at the median of the
    training fold. Whether an assay was performed is a column of its own, so a filled gap can be
    told from a measurement.
    """
    return Pipeline(
        [
            ("columns", encoder(counts=counts, select=select, fill=True)),
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("scale", StandardScaler()),
        ]
    )


def worth_storing(features: pd.DataFrame, *, counts: bool = False) -> pd.DataFrame:
    """Columns that a recipe fitted on these patients does not drop at once.

    The model of all patients is fitted on them, so that its signature names what it uses and not
    every gene of the dictionary. Not for cross-validation, where each training fold decides.

    Parameters
    ----------
    features : (n, p) data frame
        Of a design matrix.
    counts
        Keep all of the expression: the size of a library is the sum of all genes.
    """
    keep = is_category(features)
    if counts:
        keep |= is_expression(features)
    others = ~keep
    if others.any():
        keep[others] = varying(features.loc[:, others].to_numpy(), MIN_PATIENTS)
    return features.loc[:, keep]


def is_number(features: pd.DataFrame) -> np.ndarray:
    """(p,) mask of the numeric columns of a design matrix."""
    # A mask, because scikit-learn looks up names one by one: quadratic in the columns.
    return ~is_category(features)


def is_category(features: pd.DataFrame) -> np.ndarray:
    """(p,) mask of the text columns of a design matrix."""
    return np.asarray(features.dtypes.to_numpy() == np.dtype(object))


def is_expression(features: pd.DataFrame) -> np.ndarray:
    """(p,) mask of the positions of the expression block."""
    return np.asarray(_kinds(features) == _EXPRESSION)


def is_ratio(features: pd.DataFrame) -> np.ndarray:
    """(p,) mask of the positions of the blocks of copy-number ratios."""
    return np.asarray(_kinds(features) == _RATIO)


def is_other_block(features: pd.DataFrame) -> np.ndarray:
    """(p,) mask of the positions of the other blocks."""
    return np.asarray(is_number(features) & (_kinds(features) == _BLOCK))


def is_scalar(features: pd.DataFrame) -> np.ndarray:
    """(p,) mask of the numeric columns that are no position of a block."""
    return np.asarray(is_number(features) & (_kinds(features) == _SCALAR))


def _kinds(features: pd.DataFrame) -> np.ndarray:
    return np.fromiter(map(_kind, features.columns), dtype=np.int8, count=features.shape[1])


@cache
def _kind(name: str) -> int:
    column = Column.parse(name)
    if column.position is None or not column.table:
        return _SCALAR
    if (column.table, column.name) == ("expression_features", "expression"):
        return _EXPRESSION
    # By gene, band and arm: one assay on three axes.
    is_ratio = column.table == "cnv_features" and column.name.endswith("_ratio")
    return _RATIO if is_ratio else _BLOCK


def _filled(modality: Modality, *, fill: bool) -> list[tuple[str, BaseEstimator]]:
    return [("fill", AssayImputer(fill=FILL_BY_MODALITY[modality]))] if fill else []


def _columns(select: int | None) -> list[tuple[str, RareColumnFilter | BiomarkerVarianceSelector]]:
    varied = [("vary", RareColumnFilter(min_patients=MIN_PATIENTS))]
    if select is None:
        return varied
    return [*varied, ("select", BiomarkerVarianceSelector(n_columns=select))]
