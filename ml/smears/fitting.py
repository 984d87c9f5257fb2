"""Fitting of one network on bags: epochs, early stopping, guard, and checkpoints to go on from.

plan, bags, labels -> fit_network -> Fitted -> predict, embed

Everything random of an epoch is drawn from the seed and the number of the epoch, so a training that
was killed goes on from its last checkpoint to the same weights.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ml.smears.backbones import backbone
from ml.smears.bags import field_files
from ml.smears.guard import Guard
from ml.smears.network import BagNetwork, Pooling
from ml.smears.pixels import augment, normalized, read_field

#: Weights are drawn from torch's own generator, which all threads share.
_DRAWING = Lock()
#: Fields that a network is asked about at once.
_ASKED = 64
#: Batches that are read while a network is busy with an earlier one.
_AHEAD = 2


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is fitted, and how.

    Parameters
    ----------
    family, pooling
        See :mod:`ml.smears.backbones` and :mod:`ml.smears.network`.
    weights
        Folder of the ImageNet weights; None: from scratch.
    size_px
        Shorter edge of a field, and edge of a crop.
    epochs, patience
        Epochs at most, and how many of them without a better validation loss.
    held_out
        One of so many training patients tells when to stop and teaches nothing; 0: nobody does.
    batch_patients, fields
        Patients per step, and fields drawn of each.
    learning_rate, weight_decay
        Of AdamW; the rate falls to zero along a cosine.
    colour_shift
        See :func:`ml.smears.pixels.augment`.
    balance
        Draw every class as often as the largest one.
    seed
        Of all that is drawn.
    """

    family: str
    pooling: Pooling = "mean"
    weights: Path | None = None
    size_px: int = 224
    epochs: int = 30
    patience: int = 8
    held_out: int = 6
    batch_patients: int = 8
    fields: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    colour_shift: float = 0.1
    balance: bool = True
    seed: int = 0


@dataclass
class Progress:
    """Where a training stands: what a checkpoint holds.

    Parameters
    ----------
    network, optimizer
        Their states.
    losses, judged
        Training and validation loss of each epoch.
    best
        State of the network after the best epoch.
    """

    network: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    losses: list[float] = field(default_factory=list)
    judged: list[float] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)

    def is_over(self, plan: Plan) -> bool:
        """Whether the last epoch was run, or the best one is too long ago."""
        since = len(self.judged) - 1 - int(np.argmin(self.judged)) if self.judged else 0
        return len(self.losses) >= plan.epochs or since >= plan.patience


@dataclass(frozen=True)
class Fitted:
    """A fitted network, in arrays.

    Parameters
    ----------
    weights
        Name -> values, of the best epoch.
    losses, judged
        Training and validation loss of each epoch.
    """

    weights: dict[str, np.ndarray]
    losses: tuple[float, ...]
    judged: tuple[float, ...]


@dataclass(frozen=True)
class Patients:
    """Bags of patients and their classes, from 0."""

    bags: tuple[Path, ...]
    truth: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> "Patients":
        """Some patients, by a mask."""
        bags = tuple(bag for bag, is_in in zip(self.bags, chosen, strict=True) if is_in)
        return Patients(bags, self.truth[chosen])


def fit_network(
    plan: Plan, patients: Patients, classes: int, *, checkpoints: Path | None
) -> Fitted:
    """Fit a network on patients, or go on where a training of the same was cut off.

    Parameters
    ----------
    classes
        Number of classes.
    checkpoints
        Folder in which the state after each epoch is kept; None: nowhere.

    Raises
    ------
    TrainingStopped
        If the guard ends it.
    StudyError
        If weights or fields are missing.
    """
    # Folds are fitted side by side, a thread each: more threads would only wait for each other,
    # and sums of several threads depend on how many there are.
    torch.set_num_threads(1)
    network = new_network(plan, classes).to(_device(), memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
    )
    file = None if checkpoints is None else checkpoints / f"{_name(plan, patients)}.pt"
    progress = _resume(file) or Progress(network.state_dict(), optimizer.state_dict())
    network.load_state_dict(progress.network)
    optimizer.load_state_dict(progress.optimizer)
    judging = _judges(patients.truth, plan)
    guard = Guard(plan.family, list(progress.judged if judging.any() else progress.losses))
    while not progress.is_over(plan):
        epoch = len(progress.losses)
        loss = _train_epoch(plan, network, optimizer, patients[~judging], guard)
        # Without anybody to judge by, the last epoch counts as the best one.
        judged = _loss(plan, network, patients[judging]) if judging.any() else -float(epoch)
        guard.epoch(judged if judging.any() else loss)
        progress.losses.append(loss)
        progress.network, progress.optimizer = network.state_dict(), optimizer.state_dict()
        if not progress.judged or judged < min(progress.judged):
            progress.best = {name: kept.clone() for name, kept in progress.network.items()}
        progress.judged.append(judged)
        _keep(progress, file)
    weights = {name: values.cpu().numpy() for name, values in progress.best.items()}
    return Fitted(weights, tuple(progress.losses), tuple(progress.judged))


def new_network(plan: Plan, classes: int) -> BagNetwork:
    """Network of a plan, its weights drawn from the seed or read from their file."""
    with _DRAWING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        module, width = backbone(plan.family, plan.weights)
        return BagNetwork(module, width, classes, plan.pooling)


def fitted_network(plan: Plan, weights: dict[str, np.ndarray], classes: int) -> BagNetwork:
    """Network with the weights of a fit, ready to be asked."""
    module, width = backbone(plan.family, None)
    network = BagNetwork(module, width, classes, plan.pooling)
    network.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
    network.to(_device(), memory_format=torch.channels_last).eval()
    return network


def predict(plan: Plan, network: BagNetwork, bags: Sequence[Path]) -> np.ndarray:
    """(n, classes) probabilities of patients, from all their fields."""
    with torch.inference_mode():
        logits = network.head(_pooled(plan, network, bags))
    return np.asarray(torch.softmax(logits.double(), dim=1).cpu())


def embed(plan: Plan, network: BagNetwork, bags: Sequence[Path]) -> np.ndarray:
    """(n, width) float32 vectors of patients, from all their fields."""
    with torch.inference_mode():
        return np.asarray(_pooled(plan, network, bags).float().cpu())


def _pooled(plan: Plan, network: BagNetwork, bags: Sequence[Path]) -> torch.Tensor:
    torch.set_num_threads(1)
    network.eval()
    return torch.cat([_pooled_bag(plan, network, bag) for bag in bags])


def _pooled_bag(plan: Plan, network: BagNetwork, bag: Path) -> torch.Tensor:
    device = next(network.parameters()).device
    fields = [read_field(file, plan.size_px) for file in field_files(bag)]
    vectors = []
    for batch in _alike(fields):
        asked = normalized(torch.stack(batch).to(device).float() / 255)
        with _precision(device):
            vectors.append(network.vectors(asked.contiguous(memory_format=torch.channels_last)))
    found = torch.cat(vectors).float()
    return network.pooled(found, [len(found)])


def _alike(fields: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Runs of fields of one shape, as many at once as fit."""
    batch: list[torch.Tensor] = []
    for one in fields:
        if batch and (one.shape != batch[0].shape or len(batch) == _ASKED):
            yield batch
            batch = []
        batch.append(one)
    yield batch


def _train_epoch(
    plan: Plan,
    network: BagNetwork,
    optimizer: torch.optim.Optimizer,
    patients: Patients,
    guard: Guard,
) -> float:
    """Mean loss of the steps of the next epoch."""
    epoch, device = len(guard.losses), next(network.parameters()).device
    network.train()
    for group in optimizer.param_groups:
        group["lr"] = plan.learning_rate * (1 + math.cos(math.pi * epoch / plan.epochs)) / 2
    losses = []
    for batch in _batches(plan, patients, epoch):
        fields = augment(batch.fields, plan.size_px, plan.colour_shift, batch.draw, device)
        given = normalized(fields).contiguous(memory_format=torch.channels_last)
        with _precision(device):
            logits = network(given, batch.sizes)
        loss = functional.cross_entropy(logits.float(), batch.truth.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        losses.append(float(loss.detach()))
        guard.step(losses[-1], float(nn.utils.get_total_norm(gradients)))
        optimizer.step()
    return float(np.mean(losses))


def _judges(truth: np.ndarray, plan: Plan) -> np.ndarray:
    """(n,) mask of the patients who tell when to stop, the same share of every class."""
    judging = np.zeros(len(truth), dtype=bool)
    rng = np.random.default_rng(plan.seed)
    for label in np.unique(truth) if plan.held_out else ():
        rows = rng.permutation(np.flatnonzero(truth == label))
        judging[rows[: len(rows) // plan.held_out]] = True
    return judging


def _loss(plan: Plan, network: BagNetwork, patients: Patients) -> float:
    """Loss of patients who teach nothing, every class counting alike."""
    truth = patients.truth
    said = predict(plan, network, patients.bags)
    loss = -np.log(np.clip(said[np.arange(len(truth)), truth], 1e-9, None))
    return float(np.average(loss, weights=1 / np.bincount(truth)[truth]))


@dataclass(frozen=True)
class _Batch:
    """Fields of some patients, fields per patient, classes, and where chance comes from."""

    fields: list[torch.Tensor]
    sizes: list[int]
    truth: torch.Tensor
    draw: torch.Generator


def _batches(plan: Plan, patients: Patients, epoch: int) -> Iterator[_Batch]:
    """Patients of an epoch, step by step; the next fields are read meanwhile."""
    order = _drawn(patients.truth, np.random.default_rng([plan.seed, epoch]), plan)
    count = max(1, len(order) // plan.batch_patients)
    steps = np.array_split(order, count)

    def read(step: int) -> _Batch:
        rng = np.random.default_rng([plan.seed, epoch, step])
        chosen = [_some(field_files(patients.bags[row]), plan.fields, rng) for row in steps[step]]
        return _Batch(
            [read_field(file, plan.size_px) for files in chosen for file in files],
            [len(files) for files in chosen],
            torch.from_numpy(patients.truth[steps[step]]),
            torch.Generator().manual_seed(int(rng.integers(2**62))),
        )

    with ThreadPoolExecutor(_AHEAD) as pool:
        pending = deque(pool.submit(read, step) for step in range(min(_AHEAD, count)))
        for step in range(_AHEAD, count + _AHEAD):
            if not pending:
                return
            batch = pending.popleft().result()
            if step < count:
                pending.append(pool.submit(read, step))
            yield batch


def _drawn(truth: np.ndarray, rng: np.random.Generator, plan: Plan) -> np.ndarray:
    """Patients of an epoch in random order; rare classes as often as common ones, if asked."""
    if not plan.balance:
        return rng.permutation(len(truth))
    of_class = [np.flatnonzero(truth == label) for label in np.unique(truth)]
    size = max(map(len, of_class))
    drawn = [
        np.concatenate([rng.permutation(rows) for _ in range(-(-size // len(rows)))])[:size]
        for rows in of_class
    ]
    return rng.permutation(np.concatenate(drawn))


def fitting_rate(plan: Plan, images: int, steps: int) -> dict[str, float]:
    """Images per second in training and when asked, of synthetic fields; for benchmarks.

    Parameters
    ----------
    images, steps
        Images per step, and steps that are timed after a first one.
    """
    network = new_network(plan, 2).to(_device(), memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters())
    fields = torch.rand(images, 3, plan.size_px, plan.size_px, device=_device())
    given = fields.contiguous(memory_format=torch.channels_last)
    truth = torch.zeros(images, dtype=torch.long, device=_device())

    def learn() -> None:
        with _precision(given.device):
            logits = network.train()(given, [1] * images)
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(logits.float(), truth).backward()
        optimizer.step()

    def ask() -> None:
        with torch.inference_mode(), _precision(given.device):
            network.eval()(given, [1] * images)

    return {
        "train_per_s": round(_rate(learn, images, steps), 1),
        "ask_per_s": round(_rate(ask, images, steps), 1),
    }


def _rate(work: Callable[[], None], images: int, steps: int) -> float:
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.monotonic()
    for _ in range(steps):
        work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return images * steps / (time.monotonic() - start)


def _some(files: tuple[Path, ...], count: int, rng: np.random.Generator) -> tuple[Path, ...]:
    """So many fields of a patient, or all."""
    if len(files) <= count:
        return files
    return tuple(files[row] for row in np.sort(rng.permutation(len(files))[:count]))


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _precision(device: torch.device) -> Any:
    """Half precision on a GPU; full on a CPU, where results have to repeat."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def _name(plan: Plan, patients: Patients) -> str:
    """Name of a checkpoint: whatever decides how the training ends."""
    # A bag is named by its pixels, so moving the folder of the bags changes nothing.
    names = [bag.name for bag in patients.bags]
    decides = (plan, names, patients.truth.tolist(), torch.__version__)
    return sha256(repr(decides).encode()).hexdigest()[:32]


def _resume(file: Path | None) -> Progress | None:
    if file is None or not file.is_file():
        return None
    return Progress(**torch.load(file, map_location=_device(), weights_only=True))


def _keep(progress: Progress, file: Path | None) -> None:
    if file is None:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_suffix(".tmp")
    torch.save(vars(progress), scratch)
    scratch.rename(file)
