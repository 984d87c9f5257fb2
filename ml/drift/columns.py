"""Every column of two frames that can drift, tested.

    Pair -> scalars, blocks (chunk by chunk), gaps -> tests -> one row per column

A number is tested for level and for spread, a flag for its share, a text category by category, and
every column for how often it is missing. Values are compared among the patients who have them.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from ml.drift.pair import Numbers, Pair
from ml.drift.two_sample import (
    level_scores,
    score_test,
    share_test,
    smallest_share_p,
    spread_scores,
)
from oncoframe.names import decode

#: Columns tested at once: 5,000 patients x 512 numbers are 20 MB per copy.
CHUNK_COLUMNS = 512
#: Patients with a value on either side below which a column is not tested.
MIN_PATIENTS = 10
#: Categories a text may have; more of them are names or free text.
MAX_CATEGORIES = 60
#: A column whose smallest possible p-value lies above this cannot tell anything.
TESTABLE_P = 0.001

#: One row per test: column in domain names; its modality; the family it is corrected within; what
#: moved (level, spread, bias, share, category, missing); the category; the level of a covariate
#: among whose patients it moved, null: all; mean (of a level or bias), standard deviation (spread)
#: or share (others) before and now; p-value and effect.
TESTED = {
    "column": pl.String(),
    "modality": pl.String(),
    "family": pl.String(),
    "what": pl.String(),
    "category": pl.String(),
    "within": pl.String(),
    "before": pl.Float64(),
    "now": pl.Float64(),
    "p": pl.Float64(),
    "effect": pl.Float64(),
}
#: Family of the missing values of all columns.
GAPS = "missing"
#: Modality of what was true less what was predicted: its mean is 0, whatever is predicted.
CALIBRATION = "calibration"
#: Modalities whose values arrive late: nobody is missing who has no label yet.
UNGAPPED = ("predictions", CALIBRATION)


def column_tests(pair: Pair) -> pl.DataFrame:
    """Result of every test of two frames, one row per column and family.

    Returns
    -------
    Rows of :data:`TESTED`; columns that cannot tell anything are not in it.
    """
    parts = [*_scalars(pair), *_blocks(pair), *_gaps(pair)]
    return pl.concat([pl.DataFrame(schema=TESTED), *parts])


def number_tests(
    numbers: Numbers, current: np.ndarray, *, modality: str, family: str
) -> pl.DataFrame:
    """Rows of :data:`TESTED` of numeric columns: level or spread, whichever is clearer.

    The p-value is corrected for having looked at both.

    Parameters
    ----------
    current : (n,) array of bool
        True for current patients.
    """
    made: list[dict[str, list[object]]] = []
    for rows, columns in _patterns(numbers.values):
        if _enough(current[rows]):
            values = numbers.values[:, columns] if rows.all() else numbers.values[rows][:, columns]
            names = [numbers.names[column] for column in columns]
            made.append(_numbers_without_gaps(values, current[rows], names))
    found = {name: [v for part in made for v in part[name]] for name in (made[0] if made else ())}
    return _rows(found).with_columns(modality=pl.lit(modality), family=pl.lit(family))


def bias_tests(residuals: Numbers, current: np.ndarray) -> pl.DataFrame:
    """Rows of :data:`TESTED` of residuals: whether their means moved.

    Ranks would not do: a model that is rightly surer than before has other residuals, and the same
    mean. The effect is Cohen's d.
    """
    made = [pl.DataFrame(schema=TESTED)]
    for rows, columns in _patterns(residuals.values):
        if not _enough(current[rows]):
            continue
        values = residuals.values[rows][:, columns].astype(np.float64)
        means = [values[side].mean(axis=0) for side in (~current[rows], current[rows])]
        result = score_test(values - values.mean(axis=0), current[rows])
        deviations = np.maximum(values.std(axis=0), np.finfo(np.float32).eps)
        found = {
            "column": [residuals.names[column] for column in columns],
            "what": ["bias"] * len(columns),
            "before": means[0],
            "now": means[1],
            "p": result.p,
            "effect": result.effect / deviations,
        }
        made.append(_rows(found))
    both = {"modality": pl.lit(CALIBRATION), "family": pl.lit(CALIBRATION)}
    return pl.concat(made).with_columns(**both)


def _numbers_without_gaps(
    values: np.ndarray, current: np.ndarray, names: Sequence[str]
) -> dict[str, list[object]]:
    n, m = len(values), int(current.sum())
    scores = level_scores(values)
    # Few patients who differ from the most frequent value can prove little.
    unusual = n - _longest_run(np.sort(scores, axis=0))
    tells = np.flatnonzero(smallest_share_p(np.minimum(unusual, n // 2), n, m) <= TESTABLE_P)
    scores, values = scores[:, tells], values[:, tells].astype(np.float64)
    level, spread = score_test(scores, current), score_test(spread_scores(scores), current)
    by_spread = spread.p < level.p
    before, now = values[~current], values[current]
    with np.errstate(invalid="ignore"):  # an infinity has no deviation
        found = {
            "what": np.where(by_spread, "spread", "level"),
            "before": np.where(by_spread, before.std(axis=0), before.mean(axis=0)),
            "now": np.where(by_spread, now.std(axis=0), now.mean(axis=0)),
            "p": np.minimum(2 * np.minimum(level.p, spread.p), 1.0),
            "effect": np.where(by_spread, spread.effect, level.effect),
        }
    listed = {name: array.tolist() for name, array in found.items()}
    return {"column": [names[int(place)] for place in tells], **listed}


def _longest_run(ordered: np.ndarray) -> np.ndarray:
    """(p,) how many patients have the most frequent value of each sorted column."""
    n = len(ordered)
    starts = np.ones(ordered.shape, dtype=bool)
    starts[1:] = ordered[1:] != ordered[:-1]
    if starts.all():
        return np.ones(ordered.shape[1], dtype=np.int64)
    # Starts column by column; a run ends where the next one starts.
    places = np.flatnonzero(starts.T)
    lengths = np.diff(places, append=starts.size)
    first = np.searchsorted(places, np.arange(0, starts.size, n))
    return np.asarray(np.maximum.reduceat(lengths, first))


def _patterns(values: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Patients with values, and the columns that just these patients have values of."""
    gaps = np.isnan(values)
    if not gaps.any():
        yield np.ones(len(values), dtype=bool), np.arange(values.shape[1])
        return
    packed = np.ascontiguousarray(np.packbits(gaps, axis=0).T)
    groups: dict[bytes, list[int]] = {}
    for column, pattern in enumerate(packed):
        groups.setdefault(pattern.tobytes(), []).append(column)
    for columns in groups.values():
        yield ~gaps[:, columns[0]], np.array(columns)


def _scalars(pair: Pair) -> Iterator[pl.DataFrame]:
    numeric: dict[str, list[str]] = {}
    for name, column in pair.of_kind("scalar").items():
        values = pair.series(name)
        if values.dtype in (pl.Boolean, pl.String):
            yield category_test(
                values, pair.is_current, modality=column.modality, family=column.modality
            )
        elif values.dtype.is_numeric():
            numeric.setdefault(column.modality, []).append(name)
    wrong = numeric.pop(CALIBRATION, [])
    if wrong:
        yield bias_tests(pair.scalars(wrong), pair.is_current)
    for modality, names in numeric.items():
        for first in range(0, len(names), CHUNK_COLUMNS):
            numbers = pair.scalars(names[first : first + CHUNK_COLUMNS])
            yield number_tests(numbers, pair.is_current, modality=modality, family=modality)


def _blocks(pair: Pair) -> Iterator[pl.DataFrame]:
    """Vectors some positions at a time: a block may be wider than memory."""
    for name, column in pair.of_kind("block").items():
        positions = pair.positions(name)
        for first in range(0, len(positions), CHUNK_COLUMNS):
            numbers = pair.block(name, positions[first : first + CHUNK_COLUMNS])
            yield number_tests(
                numbers, pair.is_current, modality=column.modality, family=decode(name)
            )


def category_test(
    values: pl.Series, current: np.ndarray, *, modality: str, family: str
) -> pl.DataFrame:
    """Row of :data:`TESTED` of a flag or a text: the category that moved most.

    The p-value is corrected for the categories looked at. No row for a text of too many.

    Parameters
    ----------
    values : (n,) series of Boolean or String
        Null where not known.
    current : (n,) array of bool
        True for current patients.
    """
    known = values.is_not_null().to_numpy()
    current, is_flag = current[known], values.dtype == pl.Boolean
    categories, codes = np.unique(
        values.drop_nulls().cast(pl.String).to_numpy().astype(str), return_inverse=True
    )
    if not _enough(current) or len(categories) > MAX_CATEGORIES:
        return pl.DataFrame(schema=TESTED)
    hits = np.bincount(codes, minlength=len(categories))
    now = np.bincount(codes[current], minlength=len(categories))
    asked = categories == "true" if is_flag else np.ones(len(categories), dtype=bool)
    found = _shares(hits[asked], now[asked], len(current), int(current.sum()))
    if found.is_empty():
        return pl.DataFrame(schema=TESTED)
    moved = found.sort("p", "category").head(1)
    names = pl.Series(categories[asked], dtype=pl.String)
    return _rows(
        {
            "column": [decode(values.name)],
            "modality": [modality],
            "family": [family],
            "what": ["share" if is_flag else "category"],
            "category": [None] if is_flag else names.gather(moved["category"]),
            "before": moved["before"],
            "now": moved["now"],
            "p": (moved["p"] * len(found)).clip(upper_bound=1.0),
            "effect": moved["effect"],
        }
    )


def _gaps(pair: Pair) -> Iterator[pl.DataFrame]:
    """Missing values; columns missing for just the same patients are one test, under one name."""
    current = pair.is_current
    if not _enough(current):
        return
    seen: set[bytes] = set()
    about: list[tuple[str, str]] = []
    counts: list[tuple[int, int]] = []
    for name, column, gap in pair.gaps():
        if column.modality in UNGAPPED:
            continue
        pattern = np.packbits(gap).tobytes()
        if pattern not in seen:
            seen.add(pattern)
            about.append((decode(name), column.modality))
            counts.append((int(gap.sum()), int(gap[current].sum())))
    hits, now = np.array(counts).reshape(-1, 2).T
    found = _shares(hits, now, len(current), int(current.sum()))
    chosen = [about[place] for place in found["category"]]
    yield _rows(
        {
            "column": [name for name, _ in chosen],
            "modality": [modality for _, modality in chosen],
            "family": [GAPS] * len(chosen),
            "what": [GAPS] * len(chosen),
            **{name: found[name] for name in ("before", "now", "p", "effect")},
        }
    )


def _shares(hits: np.ndarray, now: np.ndarray, n: int, m: int) -> pl.DataFrame:
    """Shares before and now, p-value and effect of those that can tell something.

    ``category`` is the place in the arrays.
    """
    tells = np.flatnonzero(smallest_share_p(hits, n, m) <= TESTABLE_P)
    hits, now = hits[tells], now[tells]
    result = share_test(hits, now, n, m)
    return pl.DataFrame(
        {
            "category": tells,
            "before": (hits - now) / (n - m),
            "now": now / m,
            "p": result.p,
            "effect": result.effect,
        }
    )


def _enough(current: np.ndarray) -> bool:
    return bool(min(current.sum(), (~current).sum()) >= MIN_PATIENTS)


def _rows(found: Mapping[str, object]) -> pl.DataFrame:
    """Rows of :data:`TESTED`; what is not given is null."""
    made = pl.DataFrame(found)
    missing = [pl.lit(None).alias(name) for name in TESTED if name not in made.columns]
    return made.with_columns(missing).select(pl.col(name).cast(t) for name, t in TESTED.items())
