"""The first step of every recipe: a data frame of a design matrix becomes numbers.

    features -> encoder (vary enough? counts to log CPM, categories to flags) -> trees
             -> dense encoder (gaps filled, scaled) -> linear models, components, distances

Trees take gaps as they are. Other models get what a gap in a performed assay most likely is, and
for an assay that was not performed the median, beside the flag that says so.

All of it is fitted inside the training fold.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ml.pipelines.normalization import TmmNormalizer
from ml.pipelines.preprocessing import (
    AssayImputer,
    BiomarkerVarianceSelector,
    RareColumnFilter,
    varying,
)
from oncoframe.columns import Column
from oncoframe.contracts import Modality
from oncoframe.modalities import modalities, spec
from oncoframe.modality import Fill

#: A column is worth looking at if it sets this many training patients apart.
MIN_PATIENTS = 3
#: A category has a flag of its own if this many training patients share it.
MIN_CATEGORY_PATIENTS = 5
#: Block of the expression, as columns name it.
_EXPRESSION = str(Column("expression_features", "expression"))


@dataclass(frozen=True)
class Blocks:
    """Mask of the positions of some blocks, or of all others; what a column transformer asks.

    Parameters
    ----------
    names
        Of the blocks, ``<table>__<block>``.
    others
        Whether the positions of all other blocks are meant.
    """

    names: tuple[str, ...]
    others: bool = False

    def __call__(self, features: pd.DataFrame) -> np.ndarray:
        """(p,) mask of the columns of a design matrix."""
        named = np.array([_block(name) in self.names for name in features.columns], dtype=bool)
        return is_block(features) & ~named if self.others else named


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
        Fill gaps within performed assays, block by block as their modality declares it.
    """
    categories = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=MIN_CATEGORY_PATIENTS,
        sparse_output=False,
        dtype=np.float32,
    )
    unread = spec(Modality.EXPRESSION).fill["expression"]
    counts_of_genes = [*_filled(unread, fill=fill), ("normalize", TmmNormalizer())]
    declared = [
        (f"{modality}_{rule}", Pipeline([*_filled(rule, fill=fill), *_columns(select)]), blocks)
        for modality, rule, blocks in _declared()
    ]
    known = (_EXPRESSION, *(name for *_, blocks in declared for name in blocks.names))
    return ColumnTransformer(
        [
            ("scalars", RareColumnFilter(min_patients=MIN_PATIENTS), is_scalar),
            ("expression", Pipeline([*(counts_of_genes if counts else []), *_columns(select)]),
             is_expression),
            *declared,
            ("blocks", Pipeline(_columns(select)), Blocks(known, others=True)),
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
    return Blocks((_EXPRESSION,))(features)


def is_block(features: pd.DataFrame) -> np.ndarray:
    """(p,) mask of the positions of blocks."""
    block = np.array([_block(name) is not None for name in features.columns], dtype=bool)
    return np.asarray(is_number(features) & block)


def is_scalar(features: pd.DataFrame) -> np.ndarray:
    """(p,) mask of the numeric columns that are no position of a block."""
    return np.asarray(is_number(features) & ~is_block(features))


@cache
def _block(name: str) -> str | None:
    """Block of a column, ``<table>__<block>``; None where it is no position of one."""
    column = Column.parse(name)
    is_position = column.table and column.position is not None
    return str(replace(column, position=None)) if is_position else None


def _declared() -> Iterator[tuple[str, Fill, Blocks]]:
    """Modality, rule and blocks of what is filled, but the expression, of which only counts are.

    Blocks of one modality and rule are filled together: axes of one assay.
    """
    for name, found in modalities().items():
        if name == Modality.EXPRESSION:
            continue
        for rule in sorted({rule for rule in found.fill.values() if rule is not None}):
            blocks = [block for block, its in found.fill.items() if its == rule]
            table = found.contract.table
            yield name, rule, Blocks(tuple(str(Column(table, block)) for block in blocks))


def _filled(rule: Fill | None, *, fill: bool) -> list[tuple[str, BaseEstimator]]:
    return [("fill", AssayImputer(fill=rule))] if fill and rule else []


def _columns(select: int | None) -> list[tuple[str, RareColumnFilter | BiomarkerVarianceSelector]]:
    varied = [("vary", RareColumnFilter(min_patients=MIN_PATIENTS))]
    if select is None:
        return varied
    return [*varied, ("select", BiomarkerVarianceSelector(n_columns=select))]
