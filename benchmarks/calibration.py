"""How often the intervals of calibration hold the truth, and whether weights are really undone.

Two-class cohorts with 5, 20 and 50 % of events. A logistic regression, which is well specified
here, learns from one cohort with or without class weights, whose prior is corrected, and is judged
on new patients of the same population. Each line is one measurement as JSON; coverage has its own
95 % interval (Wilson). Run with the number of seeds, for a quick look:
``python benchmarks/calibration.py 50``.
"""

import json
import sys

import numpy as np
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from ml.evaluation.calibration import ClassCalibration, class_calibration
from ml.intervals import Estimate
from ml.pipelines.resampling import ClassWeighted

SEEDS = 200
PREVALENCES = (0.05, 0.2, 0.5)
#: No weights, and those that give both classes one total weight.
POWERS = (0.0, 1.0)
#: Enough for what was learned to be the truth but for a hundredth of a standard error; judged on as
#: many as a cohort has.
LEARNED, JUDGED = 40_000, 500
EFFECTS = np.array([1.0, 0.5, -0.5])
_Z = 1.96


def main() -> None:
    """Measure every prevalence with and without weights, and all of them together."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    everything = []
    for prevalence in PREVALENCES:
        for power in POWERS:
            found = [judged(prevalence, power, seed) for seed in range(seeds)]
            say(found, prevalence=prevalence, weights=power)
            everything += found
    say(everything)


def judged(prevalence: float, power: float, seed: int) -> ClassCalibration:
    """Calibration of a model that learned in one cohort, among new patients."""
    rng = np.random.default_rng([seed, round(100 * prevalence)])
    features = rng.normal(size=(LEARNED + JUDGED, len(EFFECTS)))
    odds = logit(prevalence) + features @ EFFECTS
    truth = (rng.random(len(odds)) < expit(odds)).astype(np.int64)
    learner = LogisticRegression(C=np.inf, solver="newton-cholesky")
    model = ClassWeighted(learner, power=power).fit(features[:LEARNED], truth[:LEARNED])
    return class_calibration(truth[LEARNED:], model.predict_proba(features[LEARNED:]), 1)


def say(found: list[ClassCalibration], **about: object) -> None:
    """One measurement."""
    ratio = [row.observed_expected.value for row in found]
    measured = {
        "cohorts": len(found),
        "in_the_large_holds_0": covered([holds(row.in_the_large, 0.0) for row in found]),
        "slope_holds_1": covered([holds(row.slope, 1.0) for row in found]),
        "observed_expected_mean": round(float(np.mean(ratio)), 3),
    }
    print(json.dumps({"benchmark": "calibration", **about, **measured}), flush=True)


def holds(interval: Estimate, ideal: float) -> bool:
    """Whether an interval holds the ideal; one that is not known does not."""
    return interval.low <= ideal <= interval.high


def covered(held: list[bool]) -> list[float]:
    """Share, and the ends of its interval."""
    n, share = len(held), float(np.mean(held))
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    return [round(float(value), 3) for value in (share, middle - half, middle + half)]


if __name__ == "__main__":
    main()
