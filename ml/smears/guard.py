"""Guard of a training: ends one that can come to no good, and says in a type of its own why.

loss, gradient of every step -> nothing | TrainingStopped

A network that learns nothing (shuffled labels) still moves; what does not move at all is broken.
"""

import math
from dataclasses import dataclass, field

from oncoframe.errors import GradientsExploded, LossNotFinite, LossStuck

#: Length of the gradient of all weights that no step of a useful training has.
MAX_GRADIENT = 1e4
#: Epochs within which the loss has to move away from where it began, by this share of it.
STUCK_EPOCHS, STUCK_SHARE = 5, 1e-5


@dataclass
class Guard:
    """Watches one training.

    Parameters
    ----------
    where
        What is trained, for the sentence.
    losses
        Loss of each epoch so far, of patients who are not augmented if there are any.
    """

    where: str
    losses: list[float] = field(default_factory=list)

    def step(self, loss: float, gradient: float) -> None:
        """Look at one step, before it is taken.

        Raises
        ------
        LossNotFinite
            If the loss is infinite or NaN.
        GradientsExploded
            If the gradient is longer than :data:`MAX_GRADIENT`, or no number.
        """
        epoch = len(self.losses) + 1
        if not math.isfinite(loss):
            raise LossNotFinite(
                "the loss is no number", where=self.where, got=f"{loss} in epoch {epoch}",
                hint="Lower learning_rate.",
            )  # fmt: skip
        if not gradient <= MAX_GRADIENT:
            raise GradientsExploded(
                "the gradients explode", where=self.where, expected=f"at most {MAX_GRADIENT:g}",
                got=f"{gradient:.3g} in epoch {epoch}", hint="Lower learning_rate.",
            )  # fmt: skip

    def epoch(self, loss: float) -> None:
        """Look at the loss of an epoch.

        Raises
        ------
        LossStuck
            If it is still where it began after :data:`STUCK_EPOCHS` epochs.
        """
        self.losses.append(loss)
        moved = max(self.losses) - min(self.losses)
        if len(self.losses) == STUCK_EPOCHS and moved <= STUCK_SHARE * self.losses[0]:
            raise LossStuck(
                "the loss does not move", where=self.where,
                got=f"{loss:.6g} for {STUCK_EPOCHS} epochs", hint="Raise learning_rate.",
            )  # fmt: skip
