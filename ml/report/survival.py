"""Section on predicted survival: risk groups, discrimination and calibration over time.

risks_<recipe>_<modality set>.parquet, survival.json -> ml.evaluation.survival -> section
"""

import numpy as np

from ml.evaluation.survival import (
    CALIBRATION_GROUPS,
    DAYS_PER_YEAR,
    GROUPS,
    Ranked,
    areas,
    calibration_at,
    hazard_ratios,
    horizons,
    integrated_brier,
    kaplan_meier,
    ranked_patients,
    risk_groups,
)
from ml.figures.survival import horizon_figure, kaplan_meier_figure, years
from ml.intervals import Estimate
from ml.report.blocks import (
    NONE,
    Block,
    Section,
    Table,
    Text,
    interval,
    number,
    picture,
    signed,
    whole,
)
from ml.training.stored import StoredModel, StoredTraining, read_json, read_table

#: Labels that count every death: nothing can come before it.
_ANY_DEATH = frozenset({"overall_survival"})


def survival_section(training: StoredTraining, model: StoredModel) -> Section | None:
    """What the risks of the best survival model are worth; None for a study of classes."""
    if training.study.label.kind != "survival":
        return None
    table = read_table(model.folder, f"risks_{model.recipe}_{model.modality_set}.parquet")
    if table is None:
        missing = "The risks of this model were not kept, so there are no survival curves."
        return Section("survival", "Survival", (Text(missing, "warning"),))
    seed = training.study.cross_validation.seed
    found = ranked_patients(table)
    blocks: list[Block] = [
        Text(
            "Patients are in thirds by their risk, ranked within the fold in which they were "
            "tested and averaged over the repeats; no model saw a patient that it ranks."
        ),
        *_groups(found.days, found.died, risk_groups(found.risk)),
        *_over_time(training, found, seed),
        _competing(training.study.label.name),
    ]
    return Section("survival", "Survival by predicted risk", tuple(blocks))


def _groups(days: np.ndarray, died: np.ndarray, group: np.ndarray) -> list[Block]:
    members = {name: group == at for at, name in enumerate(GROUPS) if (group == at).any()}
    ratios = [None, *hazard_ratios(days, died, group)]
    return [
        picture(
            kaplan_meier_figure({name: (days[of], died[of]) for name, of in members.items()}),
            alt="Kaplan-Meier curves of the risk groups with numbers at risk; medians and hazard "
            "ratios are in the table below.",
            caption="Kaplan-Meier estimate with 95 % band; a tick is a patient alive at the last "
            "contact.",
        ),
        Table(
            "Risk groups",
            ("Group", "Patients", "Deaths", "Median survival, years", "Hazard ratio to low risk"),
            tuple(
                (name, whole(of.sum()), whole(died[of].sum()), _median(days[of], died[of]),
                 ("1 (reference)" if at == 0 else _estimate(ratios[at], 2)))
                for at, (name, of) in enumerate(members.items())
            ),
            note="Hazard ratios by Cox regression, 95 % Wald intervals. A median is not reached "
            "where more than half are alive at the end.",
        ),
    ]  # fmt: skip


def _median(days: np.ndarray, died: np.ndarray) -> str:
    curve = kaplan_meier(days, died)
    below = np.flatnonzero(curve.value <= 0.5)  # noqa: PLR2004  (the median)
    return number(curve.days[below[0]] / DAYS_PER_YEAR, 1) if len(below) else "not reached"


def _estimate(found: Estimate | None, digits: int = 3) -> str:
    return NONE if found is None else interval(found.as_list(), digits)


def _over_time(training: StoredTraining, found: Ranked, seed: int) -> list[Block]:
    """Area, error and calibration at the horizons; what is not known is said."""
    grid = (read_json(training.folder, "survival.json") or {"days": []})["days"]
    days, died = found.days, found.died
    at = [day for day in horizons(days, died) if not grid or day in grid]
    if not at:
        said = "Too few patients died, or were followed, to judge predictions at a horizon."
        return [Text(said, "warning")]
    area = areas(days, died, found.risk, at, seed=seed)
    if not grid or not found.survival.size:
        return [
            _horizon_table(at, [(_estimate(a),) for a in area], ()),
            Text("This training kept no predicted survival: train again.", "warning"),
        ]
    calibrated = [calibration_at(days, died, found.survival[:, grid.index(day)], day) for day in at]
    error = integrated_brier(days, died, found.survival, np.asarray(grid), seed=seed)
    gain = error.gain
    return [
        _horizon_table(
            at,
            [
                (_estimate(a), number(c.predicted), _estimate(c.observed), _estimate(c.ratio, 2))
                for a, c in zip(area, calibrated, strict=True)
            ],
            ("Mean predicted risk of death", "Observed", "Observed over predicted"),
        ),
        picture(
            horizon_figure(calibrated),
            alt="Observed against predicted risk of death at each horizon; the means are in the "
            "table above.",
            caption=f"Calibration at horizons: {CALIBRATION_GROUPS} groups of equally many "
            "patients by predicted risk; the diamond is everybody.",
        ),
        Table(
            f"Error of predicted survival over {years_between(grid)}",
            ("Prediction", "Integrated Brier score"),
            (
                ("This model", _estimate(error.model)),
                ("The same curve for everybody", _estimate(error.nobody_known)),
                ("Gain over it", signed(gain.as_list())),
            ),
            note="0 is no error; the gain is one less the ratio. 95 % intervals over patients.",
        ),
        *(
            [Text("The predicted survival is not shown to be better than one curve for everybody.",
                  "warning")]
            if not gain.low > 0
            else []
        ),
    ]  # fmt: skip


def _horizon_table(at: list[float], rows: list[tuple[str, ...]], more: tuple[str, ...]) -> Table:
    return Table(
        "Predictions at a horizon, 95 % intervals",
        ("Horizon", "AUC at this time", *more),
        tuple((years(day), *row) for day, row in zip(at, rows, strict=True)),
        note="AUC: of a patient dead by then and one who outlives it, how often the dead one had "
        "the higher risk. Patients lost before count through those followed as long.",
    )


def years_between(grid: list[float]) -> str:
    """The span of a grid of days in words."""
    return f"{grid[0] / DAYS_PER_YEAR:.1f} to {grid[-1] / DAYS_PER_YEAR:.1f} years"


def _competing(label: str) -> Text:
    if label in _ANY_DEATH:
        return Text(
            "Every death counts, whatever its cause: it says nothing of the risk of dying of the "
            "cancer."
        )
    return Text(
        "Competing risks: whoever dies of something else counts here as lost from sight. "
        "Kaplan-Meier curves and predicted risks then overestimate how often the event happens.",
        "warning",
    )
