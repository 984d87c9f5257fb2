"""How far each patient lies in the direction of a drift, and how each was measured.

drifted columns -> ranks, turned so that the drift is upwards -> mean per patient
settings, sites, tools, scanners, labels -> levels per patient

Scores are made for the search of a cause; the verdict does not use them.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from ml.drift.cause import Covariate
from ml.drift.pair import Pair
from ml.drift.two_sample import level_scores, spread_scores
from oncoframe.columns import Column

#: Columns that a score is the mean of, the clearest ones.
SCORE_COLUMNS = 200
#: Features that say how a patient was measured.
COVARIATES = frozenset(
    {
        "annotation_version", "assay", "caller", "code_version", "expression_unit", "genome_build",
        "kernel", "manufacturer", "mask_source", "panel", "pixel_spacing_mm", "reference_build",
        "scanner", "scanner_model", "sequencer", "settings_version", "site", "slice_spacing_mm",
        "slice_thickness_mm", "tool", "tool_version", "tube_voltage_kv",
    }
)  # fmt: skip
#: Modality of what concerns the patient and not one assay.
PATIENT = "patient"
LABEL = "label"
#: Numbers of more values than this are cut at the quintiles of the reference.
_FEW_VALUES = 12
_QUINTILES = (0.2, 0.4, 0.6, 0.8)


def drift_scores(pair: Pair, drifted: pl.DataFrame) -> np.ndarray:
    """(n,) mean of the standardised values of drifted columns, in the direction of the drift.

    Parameters
    ----------
    drifted
        Rows of :data:`ml.drift.columns.TESTED`. A covariate among them is left out, unless there
        is nothing else: it would explain itself.

    Returns
    -------
    NaN where a patient has none of the columns.
    """
    others = drifted.filter(~pl.col("column").map_elements(is_covariate, return_dtype=pl.Boolean))
    chosen = (others if len(others) else drifted).sort("p").head(SCORE_COLUMNS)
    total, known = np.zeros(len(pair.is_current)), np.zeros(len(pair.is_current))
    for row in chosen.iter_rows(named=True):
        found = _ranked(column_values(pair, row), row["what"])
        there = ~np.isnan(found)
        deviation = found[there].std()
        if deviation > 0:
            total[there] += np.sign(row["effect"]) * found[there] / deviation
            known += there
    nothing = np.full(len(total), np.nan)
    return np.asarray(np.divide(total, known, out=nothing, where=known > 0))


def column_values(pair: Pair, row: Mapping[str, str]) -> np.ndarray:
    """(n,) array of float: what a row of a test was about, NaN where a patient has no value.

    The number itself, 1 for a patient with the flag or the category, 1 for a missing value.
    """
    if row["what"] == "missing":
        return pair.gap(row["column"]).astype(np.float64)
    values = pair.values(row["column"])
    if row["what"] == "category":
        values = values == row["category"]
    numbers: np.ndarray = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return numbers


def _ranked(numbers: np.ndarray, what: str) -> np.ndarray:
    """Scores that the test of a number compares; shares are compared as they are."""
    if what not in ("level", "spread"):
        return numbers
    there = ~np.isnan(numbers)
    scores = level_scores(numbers[there, np.newaxis])
    found = np.full(len(numbers), np.nan)
    found[there] = (scores if what == "level" else spread_scores(scores))[:, 0]
    return found


def is_covariate(column: str) -> bool:
    """Whether a column says how a patient was measured, by its name."""
    return Column.parse(column).within.lower() in COVARIATES


def covariates(pair: Pair) -> Iterator[tuple[str, Covariate]]:
    """Modality and levels of everything that says how patients were measured.

    The label is one of them: other diseases, other values.
    """
    for name, column in pair.columns.items():
        if column.kind == "setting" or (column.kind == "scalar" and is_covariate(name)):
            levels = _levels(pair.series(name), pair.is_current)
            if levels.null_count() < len(levels):
                yield column.modality, Covariate.of(Column.parse(name).within, levels.to_list())
    if all(LABEL in frame.rows.columns for frame in (pair.reference, pair.current)):
        labels = pair.series(LABEL).cast(pl.String)
        if labels.null_count() == 0:
            yield PATIENT, Covariate.of(LABEL, labels.to_list())


def _levels(values: pl.Series, current: np.ndarray) -> pl.Series:
    """Text of each patient; a number of many values as the fifth of the reference it lies in."""
    if not values.dtype.is_float() or values.n_unique() <= _FEW_VALUES:
        return values.cast(pl.String)
    known = values.filter(~current).drop_nulls()
    cuts = sorted({float(known.quantile(q) or 0.0) for q in _QUINTILES}) if len(known) else [0.0]
    fifth = pl.Series(np.searchsorted(cuts, values.fill_null(0.0).to_numpy())).cast(pl.String)
    return pl.select(pl.when(values.is_not_null()).then(fifth)).to_series()
