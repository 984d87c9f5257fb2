"""The alarm of shuffled labels: an evaluation that finds something where nothing is.

areas or concordances on labels of other patients -> above_chance -> one answer per shuffle

One rule for report and gate. Only values above chance are looked at: below it, nothing leaked. Of
many shuffles some are above chance by luck, so that intervals are widened for their number; and as
models of two folds share most of their training patients, which no bootstrap of tested patients can
know, a small excess is no alarm.

References
----------
Bengio Y, Grandvalet Y. No unbiased estimator of the variance of K-fold cross-validation. J Mach
Learn Res 2004;5:1089-1105.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from ml.intervals import CONFIDENCE

#: Area under the ROC curve, or concordance, of a model that knows nothing, and how far above it
#: shuffled labels must be to speak of a leak.
CHANCE, CHANCE_MARGIN = 0.5, 0.05


def above_chance(found: Sequence[Sequence[float | None]]) -> list[bool | None]:
    """Whether each shuffle is told above chance; None where it could not be measured.

    Parameters
    ----------
    found
        Value, low and high end of the 95 % interval of each shuffle that was made.
    """
    error = 1 - CONFIDENCE
    wider = float(norm.isf(error / max(len(found), 1)) / norm.isf(error / 2))
    return [_is_above(np.array(row, dtype=np.float64), wider) for row in found]


def _is_above(found: np.ndarray, wider: float) -> bool | None:
    value, low, _ = found
    if not np.isfinite([value, low]).all():
        return None
    return bool(value > CHANCE + CHANCE_MARGIN and value - wider * (value - low) > CHANCE)
