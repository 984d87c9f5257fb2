"""Drift: a window of new patients held against the frame that a model was trained on.

    reference, current -> newcomers -> tests per column -> verdict, cause -> report

What is tested and how is in :mod:`ml.drift.columns` and :mod:`ml.drift.two_sample`, what counts in
:mod:`ml.drift.verdict`. Numbers out of a model are columns like others. The clearest columns are
tested again among the patients of one level of a covariate only: one site, one sequencer, one
scanner, which all patients together would hide. A p-value is corrected for the levels looked at.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ml.drift.cause import Covariate
from ml.drift.columns import CALIBRATION, MIN_PATIENTS, TESTED, UNGAPPED, column_tests, number_tests
from ml.drift.pair import Numbers, Pair, newcomers, with_columns
from ml.drift.score import LABEL, PATIENT, column_values, covariates
from ml.drift.verdict import DriftRule, ModalityDrift, Verdict, corrected, modality_drifts, verdict
from ml.frames.frame import Frame, FrameColumn
from oncoframe.columns import Column
from oncoframe.contracts import Known
from oncoframe.errors import StudyError

#: Columns that are tested level by level: those whose p-value lies below, the clearest ones. The
#: others count as not significant there, which errs on the safe side.
SCREEN_P = 0.02
SCREEN_COLUMNS = 400


@dataclass(frozen=True)
class Predictions:
    """What a model says of the patients of a frame.

    Parameters
    ----------
    classes : k names
    probabilities : (n, k) array of float
        Rows in the order of the frame's; out of fold for patients the model was trained on.
    labels : n names or None
        True classes, None where not known yet; None for no label at all.
    """

    classes: Sequence[str]
    probabilities: np.ndarray
    labels: Sequence[str | None] | None = None


@dataclass(frozen=True)
class Window:
    """A frame, and what is known of its patients beside it.

    Parameters
    ----------
    frame
        Rows and columns.
    provenance
        ``patient_id`` and how each patient was measured, as text; a column ``<table>__<name>``
        concerns the modality of that table, ``<name>`` all. Patients may be missing.
    predictions
        Of the model.
    """

    frame: Frame
    provenance: pl.DataFrame | None = None
    predictions: Predictions | None = None

    def complete(self) -> Frame:
        """The frame with everything as columns."""
        frame = self.frame
        if self.provenance is not None:
            frame = _with_provenance(frame, self.provenance)
        if self.predictions is not None:
            frame = _with_predictions(frame, self.predictions)
        return frame


@dataclass(frozen=True)
class DriftReport:
    """Result of one comparison.

    Parameters
    ----------
    verdict
        What to do something about.
    modalities
        Columns tested and drifted, and likely causes, per modality.
    tests
        One row per test: :data:`ml.drift.columns.TESTED`, ``q``, ``limit``, ``drifted``; drifted
        ones first.
    reference_patients, current_patients
        Patients compared; current ones that the reference holds as they are do not count.
    pair
        What was compared.
    """

    verdict: Verdict
    modalities: tuple[ModalityDrift, ...]
    tests: pl.DataFrame
    reference_patients: int
    current_patients: int
    pair: Pair

    def as_dict(self) -> dict[str, object]:
        """Content of the ``--json`` line of ``oncoframe drift``."""
        return {
            "drifted": self.verdict.drifted,
            "columns": list(self.verdict.columns),
            "cause": self.verdict.cause,
            "effect": round(self.verdict.effect, 4),
            "reference_patients": self.reference_patients,
            "current_patients": self.current_patients,
            "modalities": {
                m.modality: {
                    "tested": m.tested,
                    "drifted": m.drifted,
                    "share": round(m.share, 4),
                    "causes": [
                        {
                            "covariate": cause.covariate,
                            "level": cause.level,
                            "how": cause.how,
                            "explained": round(cause.explained, 3),
                            "before": round(cause.before, 4),
                            "now": round(cause.now, 4),
                        }
                        for cause in m.causes
                    ],
                }
                for m in self.modalities
            },
        }


def compare(
    reference: Window | Frame,
    current: Window | Frame,
    *,
    exclude: Collection[str] = (),
    rule: DriftRule = DriftRule(),  # noqa: B008  (frozen)
) -> DriftReport:
    """Whether and where the patients of a window differ from those of the reference.

    Patients of the current frame that the reference holds with the same values are left out.
    With fewer than :data:`ml.drift.columns.MIN_PATIENTS` new patients nothing has drifted.

    Parameters
    ----------
    reference
        What the model was trained on.
    current
        Patients who arrived since.
    exclude
        Frame columns that no model sees, as :attr:`ml.study.definition.Features.exclude`.
    rule
        What counts as drift.

    Raises
    ------
    StudyError
        If the frames share no column.
    """
    first, second = (w.complete() if isinstance(w, Window) else w for w in (reference, current))
    new = newcomers(*(w.frame if isinstance(w, Window) else w for w in (reference, current)))
    arrived = Frame(second.sidecar, second.rows.filter(pl.Series(new)), second.dictionaries)
    pair = Pair(first, arrived, exclude)
    known = list(covariates(pair))
    tests = corrected(by_strata(pair, column_tests(pair), known), rule)
    modalities = modality_drifts(pair, tests, known)
    sizes = first.rows.height, arrived.rows.height
    return DriftReport(verdict(tests, modalities), modalities, tests, *sizes, pair)


def _with_provenance(frame: Frame, provenance: pl.DataFrame) -> Frame:
    modalities = frame.sidecar.views
    ids = frame.rows.select("patient_id")
    values = ids.join(provenance, on="patient_id", how="left", maintain_order="left")
    values = values.drop("patient_id").cast(pl.String)
    columns = {
        name: _model_column(name, modalities.get(Column.parse(name).table, PATIENT), "setting")
        for name in values.columns
        if name not in frame.sidecar.columns
    }
    return with_columns(frame, values.select(list(columns)), columns)


def _with_predictions(frame: Frame, predictions: Predictions) -> Frame:
    """Frame with the probability of each class and, where labels are known, the residuals.

    Residuals of a calibrated model have mean 0: 1 for the true class and 0 for others, less the
    probability; and 1 for a patient whose likeliest class is the true one, less its probability.
    """
    given = np.asarray(predictions.probabilities, dtype=np.float64)
    if given.shape != (frame.rows.height, len(predictions.classes)):
        raise StudyError(
            "there is not one probability per patient and class",
            where=frame.sidecar.frame_id,
            expected=f"{frame.rows.height} x {len(predictions.classes)}",
            got=" x ".join(map(str, given.shape)),
        )
    columns = {f"probability[{name}]": given[:, i] for i, name in enumerate(predictions.classes)}
    about = {name: _model_column(name, "predictions") for name in columns}
    if predictions.labels is not None:
        labels = np.array(predictions.labels, dtype=object)[:, np.newaxis]
        true = labels == np.array(predictions.classes, dtype=object)
        likeliest = given.argmax(axis=1)[:, np.newaxis]
        surest = np.take_along_axis(true - given, likeliest, axis=1)
        known = np.array([[label is not None] for label in predictions.labels])
        residuals = np.where(known, np.hstack([true - given, surest]), np.nan)
        names = [*(f"residual[{name}]" for name in predictions.classes), "residual_of_likeliest"]
        wrong = dict(zip(names, residuals.T, strict=True))
        columns |= wrong
        about |= {name: _model_column(name, CALIBRATION) for name in wrong}
    return with_columns(frame, pl.DataFrame(columns), about)


def _model_column(name: str, modality: str, kind: str = "scalar") -> FrameColumn:
    about = {"modality": modality, "feature": name, "unit": "1", "kind": kind}
    return FrameColumn.model_validate({**about, "known": Known.AT_INDEX})


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
