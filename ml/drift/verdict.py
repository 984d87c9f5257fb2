"""The verdict on a window of patients: which columns drifted, how much, and probably why.

tested columns -> correction, effect floors -> drifted columns -> causes -> Verdict

Nothing is tested here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from scipy.stats import false_discovery_control

from ml.drift.cause import Cause, Covariate, likely_causes
from ml.drift.columns import UNGAPPED
from ml.drift.pair import Pair
from ml.drift.score import PATIENT, drift_scores


@dataclass(frozen=True)
class DriftRule:
    """What counts as drift.

    Parameters
    ----------
    alpha
        Chance of an alarm in a window of the same distribution: 0.02 is one in a year of weeks.
        The families of columns (scalars of a modality, a block, missing values, predictions,
        calibration) share it.
    min_rank_effect
        Cliff's delta below which a level or a spread has not drifted.
    min_share_effect
        Cohen's h (bias: d) below which a share has not drifted.
    min_column_share
        Share of a modality's columns that have to drift before it counts as drifted; 0: one is
        enough.

    References
    ----------
    Romano J et al. Appropriate statistics for ordinal level data. 2006: deltas below 0.147 are
    negligible. Cohen J. Statistical power analysis for the behavioral sciences. 1988: an h of 0.2
    is small.
    """

    alpha: float = 0.02
    min_rank_effect: float = 0.147
    min_share_effect: float = 0.2
    min_column_share: float = 0.0


@dataclass(frozen=True)
class ModalityDrift:
    """Drift of one modality.

    Parameters
    ----------
    modality
        Or ``predictions``, ``calibration``.
    tested, drifted
        Columns.
    causes
        Likely causes; several cannot be told apart.
    """

    modality: str
    tested: int
    drifted: int
    causes: tuple[Cause, ...]

    @property
    def share(self) -> float:
        """Share of the columns that drifted."""
        return self.drifted / self.tested

    @property
    def cause(self) -> str | None:
        """Likely cause in words; None where no covariate goes with the drift."""
        sentences = dict.fromkeys(cause.sentence for cause in self.causes)
        return " or ".join(sentences) or None


@dataclass(frozen=True)
class Verdict:
    """Whether the current patients differ from those of the reference.

    Parameters
    ----------
    drifted
        Whether any column did.
    columns
        Drifted columns in domain names, the largest effect first.
    effect
        Largest effect, 0 without drift.
    cause
        Likely cause in words; None without drift, or where no covariate goes with it.
    """

    drifted: bool
    columns: tuple[str, ...]
    effect: float
    cause: str | None


def corrected(tested: pl.DataFrame, rule: DriftRule) -> pl.DataFrame:
    """Tests with ``q`` (Benjamini and Hochberg, within the family) and ``drifted``.

    Parameters
    ----------
    tested
        Rows of :data:`ml.drift.columns.TESTED`.

    Returns
    -------
    The same rows and ``q``, ``limit`` (of q), ``drifted``; drifted ones first, then by effect.

    References
    ----------
    Benjamini Y, Hochberg Y. Controlling the false discovery rate. J R Stat Soc B 1995;57:289.
    """
    parts = [
        part.with_columns(q=pl.Series(false_discovery_control(part["p"].to_numpy())))
        for part in tested.partition_by("family", maintain_order=True)
    ]
    limit = rule.alpha / max(len(parts), 1)
    by_rank = pl.col("what").is_in(["level", "spread"])
    floor = pl.when(by_rank).then(rule.min_rank_effect).otherwise(rule.min_share_effect)
    clear = (pl.col("q") <= limit) & (pl.col("effect").abs() >= floor)
    enough = clear.mean().over("modality") >= rule.min_column_share
    return (
        pl.concat([tested.clear().with_columns(q=pl.lit(None, dtype=pl.Float64)), *parts])
        .with_columns(limit=pl.lit(limit), drifted=clear & enough)
        .with_columns(size=-pl.col("effect").abs())
        .sort("drifted", "size", "p", "column", descending=[True, False, False, False])
        .drop("size")
    )


def modality_drifts(
    pair: Pair, tests: pl.DataFrame, known: Sequence[tuple[str, Covariate]]
) -> tuple[ModalityDrift, ...]:
    """Drift of every modality, with its likely causes.

    Parameters
    ----------
    tests
        As :func:`corrected` returns.
    known
        Modality and levels of each covariate.
    """
    found = []
    for modality in tests["modality"].unique().sort():
        own = tests.filter(pl.col("modality") == modality)
        drifted = own.filter("drifted")
        causes: tuple[Cause, ...] = ()
        if len(drifted):
            # A model sees all modalities, an assay only what concerns it.
            fitting = [c for of, c in known if of in (PATIENT, modality) or modality in UNGAPPED]
            causes = likely_causes(drift_scores(pair, drifted), pair.is_current, fitting)
        counts = own["column"].n_unique(), drifted["column"].n_unique()
        found.append(ModalityDrift(modality, *counts, causes))
    return tuple(found)


def verdict(tests: pl.DataFrame, modalities: Sequence[ModalityDrift]) -> Verdict:
    """The verdict on all modalities together.

    Parameters
    ----------
    tests
        As :func:`corrected` returns.
    """
    drifted = tests.filter("drifted")
    causes = {m.modality: m.cause for m in modalities if m.cause is not None}
    told = dict.fromkeys(causes.values())
    cause = next(iter(told)) if len(told) == 1 else None
    if len(told) > 1:
        cause = "; ".join(f"{modality}: {words}" for modality, words in causes.items())
    columns = tuple(dict.fromkeys(drifted["column"]))
    effect = float(drifted["effect"].abs().max()) if columns else 0.0  # type: ignore[arg-type]
    return Verdict(drifted=bool(columns), columns=columns, effect=effect, cause=cause)
