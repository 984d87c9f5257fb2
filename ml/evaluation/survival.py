"""How good predicted survival is: risk groups, discrimination, error and calibration over time.

    risks_<recipe>_<modality set>.parquet -> ranked_patients -> days, died, risk, predicted survival
    days, died, risk -> risk_groups -> kaplan_meier, hazard_ratios
    days, died, predicted survival -> areas (by horizon), brier, calibration_at

Who is alive at the last contact counts with the weight of those who were followed as long (inverse
probability of censoring), so nobody is taken for cured.

References
----------
Uno H et al. Evaluating prediction rules for t-year survivors with censored regression models. JASA
2007;102:527-537. Graf E et al. Assessment and comparison of prognostic classification schemes for
survival data. Stat Med 1999;18:2529-2545. Austin PC et al. Graphical calibration curves and the
integrated calibration index for survival models. Stat Med 2020;39:2714-2742.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from ml.intervals import CONFIDENCE, Estimate, estimate, resamples

DAYS_PER_YEAR = 365.25
#: Times, in years, at which a prediction is judged, where enough patients are known.
HORIZON_YEARS = (1, 2, 3, 5, 10)
#: Deaths before a horizon, and patients followed beyond it, that it takes to judge a prediction.
FEWEST = 10
#: Times at which predicted survival is kept, for the integrated error.
GRID_POINTS = 40
#: Groups of equally many patients by risk, and by predicted risk at a horizon.
GROUPS = ("low risk", "middle risk", "high risk")
CALIBRATION_GROUPS = 4
_RESAMPLES = 400


def horizons(days: np.ndarray, died: np.ndarray) -> list[float]:
    """Days at which predictions can be judged: whole years with enough deaths and patients left."""
    return [
        at
        for years in HORIZON_YEARS
        if ((days <= (at := years * DAYS_PER_YEAR)) & died).sum() >= FEWEST
        and (days > at).sum() >= FEWEST
    ]


def survival_grid(days: np.ndarray, died: np.ndarray) -> np.ndarray:
    """Days for which predicted survival is kept, ascending, all horizons among them.

    From the first death to where :data:`FEWEST` patients are still followed; beyond, the weights
    of the last ones would decide everything.
    """
    if not died.any():
        return np.zeros(0)
    last = np.sort(days)[-min(FEWEST, len(days))]
    even = np.linspace(days[died].min(), max(last, days[died].min()), GRID_POINTS)
    return np.unique([*even, *horizons(days, died)])


@dataclass(frozen=True)
class Ranked:
    """Patients of a survival model, by their ids.

    Parameters
    ----------
    days, died, risk : (n,) arrays
        The risk is the mean over the repeats.
    survival : (n, t) array
        Predicted in the first repeat, at the days of the training's grid; (n, 0) if none was kept.
    """

    days: np.ndarray
    died: np.ndarray
    risk: np.ndarray
    survival: np.ndarray


def ranked_patients(risks: pl.DataFrame) -> Ranked:
    """Patients of a table ``risks_<recipe>_<modality set>.parquet`` who were tested."""
    tested = risks.filter(pl.col("risk").is_not_nan())
    patients = tested.group_by("patient_id").agg(
        pl.col("days", "died").first(), pl.col("risk").mean()
    ).sort("patient_id")  # fmt: skip
    survival = np.zeros((patients.height, 0))
    if "survival" in tested.columns:
        first = tested.filter(pl.col("repeat") == 0).sort("patient_id")
        survival = np.array(first["survival"].to_list(), dtype=np.float64)
    days, died, risk = (patients[name].to_numpy() for name in ("days", "died", "risk"))
    return Ranked(days, died, risk, survival)


def risk_groups(risk: np.ndarray) -> np.ndarray:
    """(n,) number of the third, from 0 for the lowest risks; equal risks keep the given order."""
    rank = np.argsort(np.argsort(risk, kind="stable"), kind="stable")
    return np.asarray(rank * len(GROUPS) // max(len(risk), 1))


@dataclass(frozen=True)
class SurvivalCurve:
    """Kaplan-Meier estimate with its 95 % band, at the times of contacts and deaths.

    Parameters
    ----------
    days, value, low, high : (t,) arrays
        From 0 on; the value holds until the next time.
    """

    days: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def at(self, day: float) -> Estimate:
        """Survival on a day."""
        place = int(np.searchsorted(self.days, day, side="right")) - 1
        return Estimate(*(float(part[place]) for part in (self.value, self.low, self.high)))


def kaplan_meier(days: np.ndarray, died: np.ndarray) -> SurvivalCurve:
    """Kaplan-Meier estimate, with intervals on the scale of log(-log)."""
    # Takes a second to load, which a page about classes does not spend.
    from sksurv.nonparametric import kaplan_meier_estimator  # noqa: PLC0415

    if not died.any():
        one = np.ones(2)
        return SurvivalCurve(np.array([0.0, days.max()]), one, one, one)
    at, value, (low, high) = kaplan_meier_estimator(
        died, days, conf_level=CONFIDENCE, conf_type="log-log"
    )
    begin = (np.append(1.0, part) for part in (value, low, high))
    return SurvivalCurve(np.append(0.0, at), *begin)


def at_risk(days: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(t,) patients who are neither dead nor lost before each time."""
    return np.asarray((days[:, np.newaxis] >= at).sum(axis=0))


def hazard_ratios(days: np.ndarray, died: np.ndarray, groups: np.ndarray) -> list[Estimate | None]:
    """Hazard of each group but the first over that of the first, by Cox regression (Efron's ties).

    None for a group without a death, or where the first has none: the ratio is not finite.
    """
    from statsmodels.duration.hazard_regression import PHReg  # noqa: PLC0415, as above

    numbers = range(1, int(groups.max()) + 1)
    finite = [number for number in numbers if died[groups == number].any()]
    if not died[groups == 0].any() or not finite:
        return [None for _ in numbers]
    kept = np.isin(groups, [0, *finite])
    design = (groups[kept, np.newaxis] == finite).astype(np.float64)
    fitted = PHReg(days[kept], design, status=died[kept].astype(int), ties="efron").fit()
    ends = np.exp(fitted.conf_int(alpha=1 - CONFIDENCE))
    found = {
        number: Estimate(float(np.exp(beta)), float(low), float(high))
        for number, beta, (low, high) in zip(finite, fitted.params, ends, strict=True)
    }
    return [found.get(number) for number in numbers]


def areas(
    days: np.ndarray, died: np.ndarray, risk: np.ndarray, at: list[float], *, seed: int
) -> list[Estimate]:
    """Area under the ROC curve by time: those dead by a horizon against those who outlive it.

    Parameters
    ----------
    risk : (n,) array
    at
        Horizons in days.
    """
    weights = resamples(len(days), seed, draws=_RESAMPLES).astype(np.float64)
    followed = _followed(days, died, days)
    found = []
    for horizon in at:
        dead, alive = (days <= horizon) & died, days > horizon
        order = (risk[dead, np.newaxis] > risk[alive]) + (risk[dead, np.newaxis] == risk[alive]) / 2
        cases = weights[:, dead] / followed[dead]
        controls = weights[:, alive]
        with np.errstate(invalid="ignore", divide="ignore"):
            right = ((cases @ order) * controls).sum(axis=1)
            found.append(estimate(right / (cases.sum(axis=1) * controls.sum(axis=1))))
    return found


@dataclass(frozen=True)
class BrierScore:
    """Squared error of predicted survival, integrated over time, beside that of no model.

    Parameters
    ----------
    model, nobody_known
        Of the predictions, and of giving everybody the Kaplan-Meier estimate.
    gain
        One less their ratio: 0 is no better than knowing nothing of a patient.
    """

    model: Estimate
    nobody_known: Estimate
    gain: Estimate


def integrated_brier(
    days: np.ndarray, died: np.ndarray, survival: np.ndarray, grid: np.ndarray, *, seed: int
) -> BrierScore:
    """Integrated Brier score of predicted survival over a grid of days.

    Parameters
    ----------
    survival : (n, t) array
        Predicted share of patients like this one who are alive at each day of the grid.
    grid : (t,) array
    """
    curve = kaplan_meier(days, died)
    known = np.array([curve.at(day).value for day in grid])
    weights = resamples(len(days), seed, draws=_RESAMPLES).astype(np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    model, null = (
        weights @ _error(days, died, said, grid)
        for said in (survival, np.broadcast_to(known, survival.shape))
    )
    return BrierScore(estimate(model), estimate(null), estimate(1 - model / null))


def _error(
    days: np.ndarray, died: np.ndarray, survival: np.ndarray, grid: np.ndarray
) -> np.ndarray:
    """(n,) weighted squared error of each patient, mean over the span of the grid."""
    dead = (days[:, np.newaxis] <= grid) & died[:, np.newaxis]
    alive = days[:, np.newaxis] > grid
    squared = dead * survival**2 / _followed(days, died, days)[:, np.newaxis] + alive * (
        1 - survival
    ) ** 2 / _followed(days, died, grid)
    return np.asarray(np.trapezoid(squared, grid, axis=1) / (grid[-1] - grid[0]))


@dataclass(frozen=True)
class HorizonGroup:
    """Patients of similar predicted risk of death by a horizon, and what became of them."""

    patients: int
    predicted: float
    observed: Estimate


@dataclass(frozen=True)
class HorizonCalibration:
    """Predicted and observed risk of death by a horizon.

    Parameters
    ----------
    days
        The horizon.
    predicted
        Mean over all patients.
    observed
        One less the Kaplan-Meier estimate.
    groups
        From the lowest predicted risk to the highest.
    """

    days: float
    predicted: float
    observed: Estimate
    groups: tuple[HorizonGroup, ...]

    @property
    def ratio(self) -> Estimate:
        """Observed over predicted deaths; 1 is right."""
        return Estimate(*(end / self.predicted for end in self.observed.as_list()))


def calibration_at(
    days: np.ndarray, died: np.ndarray, survival: np.ndarray, horizon: float
) -> HorizonCalibration:
    """Predicted against observed risk of death by a horizon.

    Parameters
    ----------
    survival : (n,) array
        Predicted survival at the horizon.
    """
    risk = 1 - survival
    members = np.array_split(np.argsort(risk, kind="stable"), CALIBRATION_GROUPS)
    return HorizonCalibration(
        horizon,
        float(risk.mean()),
        _dead_by(days, died, horizon),
        tuple(
            HorizonGroup(len(m), float(risk[m].mean()), _dead_by(days[m], died[m], horizon))
            for m in members
            if len(m)
        ),
    )


def _dead_by(days: np.ndarray, died: np.ndarray, horizon: float) -> Estimate:
    alive = kaplan_meier(days, died).at(horizon)
    return Estimate(1 - alive.value, 1 - alive.high, 1 - alive.low)


def _followed(days: np.ndarray, died: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(t,) share of patients still followed at some days, as if nobody died; inf for nobody."""
    from sksurv.nonparametric import CensoringDistributionEstimator  # noqa: PLC0415, as above
    from sksurv.util import Surv  # noqa: PLC0415

    share = CensoringDistributionEstimator().fit(Surv.from_arrays(died, days)).predict_proba(at)
    return np.where(share > 0, share, np.inf)
