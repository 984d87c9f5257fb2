"""Drift of one site, one sequencer, one scanner, which all patients together would hide.

    tested columns, covariates -> clearest columns -> tested again level by level -> tested columns

The same tests among the patients of one level only: a third of them who lost half of their depth
stand out among their like. A p-value is corrected for the levels looked at.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from ml.drift.cause import Covariate
from ml.drift.columns import CALIBRATION, MIN_PATIENTS, TESTED, UNGAPPED, number_tests
from ml.drift.pair import Numbers, Pair
from ml.drift.score import LABEL, PATIENT, column_values

#: Columns that are tested level by level: those whose p-value lies below, the clearest ones. The
#: others count as not significant there, which errs on the safe side.
SCREEN_P = 0.02
SCREEN_COLUMNS = 400


def by_strata(
    pair: Pair, tested: pl.DataFrame, known: Sequence[tuple[str, Covariate]]
) -> pl.DataFrame:
    """Tests in which a column that drifted within one level of a covariate says so.

    Parameters
    ----------
    tested
        Rows of :data:`ml.drift.columns.TESTED`, of all patients.
    known
        Modality and levels of each covariate.

    Returns
    -------
    The same rows; half of the error is spent on all patients, half on the levels.
    """
    done = []
    for (modality,), rows in tested.group_by("modality", maintain_order=True):
        strata = [] if modality == CALIBRATION else list(_strata(pair, str(modality), known))
        done.append(_refined(pair, rows, strata) if strata else rows)
    return pl.concat([tested.clear(), *done])


def _strata(
    pair: Pair, modality: str, known: Sequence[tuple[str, Covariate]]
) -> Iterator[tuple[str, np.ndarray]]:
    """Name of every level, and the patients to compare: its own, if they are not everyone.

    Patients of a new level have no like in the reference and are held against all of it.
    """
    seen: set[bytes] = set()
    for of, covariate in known:
        if covariate.name == LABEL or (of not in (PATIENT, modality) and modality not in UNGAPPED):
            continue
        for code in np.flatnonzero(~covariate.is_nameless):
            own = covariate.codes == code
            before, now = (own & ~pair.is_current).sum(), (own & pair.is_current).sum()
            chosen = own | ~pair.is_current if before == 0 else own
            pattern = np.packbits(chosen).tobytes()
            enough = now >= MIN_PATIENTS and (before >= MIN_PATIENTS or before == 0)
            if enough and not chosen.all() and pattern not in seen:
                seen.add(pattern)
                yield f"{covariate.name} {covariate.levels[code]}", chosen


def _refined(
    pair: Pair, rows: pl.DataFrame, strata: Sequence[tuple[str, np.ndarray]]
) -> pl.DataFrame:
    rows = rows.with_row_index("row")
    asked = rows.filter(pl.col("p") <= SCREEN_P).sort("p").head(SCREEN_COLUMNS)
    overall = rows.with_columns(p=(2 * pl.col("p")).clip(upper_bound=1.0))
    if asked.is_empty():
        return overall.drop("row")
    values = [column_values(pair, row) for row in asked.iter_rows(named=True)]
    names = asked["row"].cast(pl.String).to_list()
    numbers = np.column_stack(values).astype(np.float32)
    found = [
        number_tests(
            Numbers(names, numbers[chosen]), pair.is_current[chosen], modality="", family=""
        ).with_columns(within=pl.lit(stratum))
        for stratum, chosen in strata
    ]
    best = (
        pl.concat(found)
        .with_columns(
            row=pl.col("column").cast(rows["row"].dtype),
            p=(2 * len(strata) * pl.col("p")).clip(upper_bound=1.0),
        )
        .sort("p", "within")
        .unique("row", keep="first", maintain_order=True)
        .join(overall.select("row", "p", "what"), on="row", suffix="_overall")
        .filter(pl.col("p") < pl.col("p_overall"))
    )
    return _updated(overall, best).select(list(TESTED))


def _updated(overall: pl.DataFrame, best: pl.DataFrame) -> pl.DataFrame:
    """Rows, with what was found in a stratum where that is clearer."""
    is_rank = pl.col("what_overall").is_in(["level", "spread"])
    angle = {name: 2 * pl.col(name).clip(0, 1).sqrt().arcsin() for name in ("before", "now")}
    better = best.select(
        "row", "within", "before", "now", "p",
        what=pl.when(is_rank).then("what").otherwise("what_overall"),
        effect=pl.when(is_rank).then("effect").otherwise(angle["now"] - angle["before"]),
    )  # fmt: skip
    return overall.update(better, on="row")
