"""Networks on smears: what they find on planted and on real cells, where they look, how fast.

    python benchmarks/smear_networks.py planted|real|rate [--patients N] [--family NAME]

One JSON line per measurement. ``planted``: synthetic patients of three classes through the engine
of all studies, an external site with another stain, shuffled labels, and maps against the planted
cells. ``real``: patients composed of 400 white cells of known classes, with expert masks. ``rate``:
images per second of each family. Needs the extra ``smears``; on a machine without it says so.
"""

import argparse
import json
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from assets.simulate.smears.cohort import EXTERNAL_SITE, write_cohort
from assets.smears.fields import list_fields, open_field
from ml.frames.frame import read_frame
from ml.smears.available import require_extra
from ml.smears.bags import FIELDS, field_files, write_bag
from ml.smears.estimator import BagClassifier
from ml.smears.maps import areas
from ml.smears.places import Places
from ml.study.definition import Study
from ml.study.modelling import NETWORKS
from ml.training.classification import train
from ml.training.results import ModelResult, TrainingResult
from ml.training.validation import validate
from oncoframe.errors import ExtraMissing
from orchestration.settings import PROJECT

SEED = 1
#: Edge of a planted field; 320 pixels at the declared size.
FIELD_UM = 65.0
#: Settings with which two cores are done in half an hour; from scratch.
OPTIONS = {"size_px": 96, "epochs": 16, "patience": 6, "colour_shift": 0.25}
#: Size of a batch, and batches, of a rate; seconds that a family may take.
BATCH, BATCHES = 16, 4
#: Real cells: patients of each class at most, and fields of each, one of another kind.
REAL_PATIENTS, REAL_FIELDS = 20, 3
REAL_KINDS = {"1": "neutrophil", "2": "lymphocyte", "3": "monocyte"}


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", nargs="?", choices=("planted", "real", "rate"), default="rate")
    parser.add_argument(
        "--patients", type=int, default=150, help="planted patients, a fifth external"
    )
    parser.add_argument("--family", default="resnet18", choices=NETWORKS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="kept, with checkpoints: run again to go on")
    given = parser.parse_args()
    try:
        require_extra()
    except ExtraMissing as error:
        say(part=given.part, skipped=str(error))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        if given.part == "planted":
            planted(folder, given.patients, given.family, given.workers)
        elif given.part == "real":
            real(folder, given.family, given.workers)
        else:
            rates()


def planted(folder: Path, patients: int, family: str, workers: int) -> None:
    """Planted morphology: cross-validation, shuffled labels, external site, maps."""
    start = time.monotonic()
    smears = write_cohort(
        folder, patients=patients, seed=SEED, fields=4, size_um=(FIELD_UM, FIELD_UM)
    )
    truth = json.loads((folder / "truth.json").read_text())
    bags, masks = {}, {}
    for smear in smears:
        size = truth[smear.case.patient_id]["pixel_size_um"]
        fields = list_fields(smear.folder)
        pixels = [open_field(field, pixel_size_um=size) for field in fields]
        bags[smear.case.patient_id] = write_bag(folder / "bags", pixels).name
        masks[bags[smear.case.patient_id]] = [
            at_size(smear.truth / f"{field.path.stem}.mask.png", image.shape[:2])
            for field, image in zip(fields, pixels, strict=True)
        ]
    about = [(p, t["class"], t["site"], bags[p]) for p, t in sorted(truth.items())]
    inner = write_frame(folder / "inner", [row for row in about if row[2] != EXTERNAL_SITE])
    outer = write_frame(folder / "outer", [row for row in about if row[2] == EXTERNAL_SITE])
    say(part="planted", simulated=patients, seconds=round(time.monotonic() - start, 1))
    result = trained(inner, folder, family, workers, "planted")
    model = result.best.served
    found = validate(model, read_frame(outer), read_frame(inner), seed=SEED)
    say(
        part="planted", external=found.as_dict()["patients"], stain="Wright-Giemsa",
        auroc=found.evaluation.metrics["auroc"].as_list(),
    )  # fmt: skip
    say(part="planted", **looked_at(result.best, inner, folder / "bags", masks))


def real(folder: Path, family: str, workers: int) -> None:
    """Patients composed of real cells, mostly of the kind of their class."""
    cells = real_cells(PROJECT.parent / "shared" / "data" / "smears" / "wbc_masks" / "dataset_1")
    about, masks = [], {}
    for patient, kind, chosen in composed(cells, np.random.default_rng(SEED)):
        pixels = [np.asarray(Image.open(cell).convert("RGB")) for cell in chosen]
        key = write_bag(folder / "bags", pixels).name
        about.append((patient, kind, "lab", key))
        masks[key] = [np.asarray(Image.open(mask_of(cell))) for cell in chosen]
    frame = write_frame(folder / "real", sorted(about))
    result = trained(frame, folder, family, workers, "real")
    say(part="real", **looked_at(result.best, frame, folder / "bags", masks))


def trained(frame: Path, folder: Path, family: str, workers: int, part: str) -> TrainingResult:
    """Cross-validated network, and a line of what it came to."""
    start = time.monotonic()
    study = study_of(family)
    result = train(
        study, frame, workers=workers, places=Places(folder / "bags", None, folder / "fits")
    )
    best, [shuffled] = result.best, result.permuted
    by_fold = best.evaluation.metrics["auroc"]
    say(
        part=part, family=family, patients=len(result.labels), auroc=by_fold.as_list(),
        accuracy=best.evaluation.metrics["accuracy"].as_list(),
        shuffled_auroc=shuffled.evaluation.metrics["auroc"].as_list(),
        at_chance=shuffled.at_chance, seconds=round(time.monotonic() - start),
        cpu_seconds=round(time.process_time()), peak_mb=peak_mb(), **OPTIONS,
    )  # fmt: skip
    return result


def looked_at(
    model: ModelResult, frame: Path, bags: Path, masks: Mapping[str, Sequence[np.ndarray]],
    fields: int = 40,
) -> dict[str, Any]:  # fmt: skip
    """Share of the highlighted area on cells, over fields that the network alone gets right."""
    from ml.smears.occlusion import occlusion_map  # noqa: PLC0415

    network: BagClassifier = model.served.model
    asked = network.network()
    rows = read_frame(frame).rows
    high = on_cells = on_nuclei = 0.0
    right = 0
    for label, key in (
        rows.select("label", f"smear_features__{FIELDS}")
        .sample(fraction=1.0, shuffle=True, seed=SEED)
        .iter_rows()
    ):
        found = occlusion_map(network, asked, field_files(bags / key)[0])
        if found.label != label or not found.high.any():
            continue
        size = areas(found.high, masks[key][0])
        area = float(found.high.sum())
        high += area
        on_cells += area * (size.cells or 0.0)
        on_nuclei += area * (size.nuclei or 0.0)
        right += 1
        if right == fields:
            break
    return {"fields": right, "high_area_on_cells": round(on_cells / high, 3),
            "high_area_on_nuclei": round(on_nuclei / high, 3)}  # fmt: skip


def rates() -> None:
    """Images per second of each family, training and inference, and torchvision's plain loop."""
    import torch  # noqa: PLC0415

    cuda = torch.cuda.is_available()
    size = 512 if cuda else 64
    for family in NETWORKS if cuda else ("resnet18", "densenet121", "shufflenet_v2_x0_5",
                                         "squeezenet1_1"):  # fmt: skip
        say(part="rate", family=family, size_px=size, device="cuda" if cuda else "cpu",
            **rate_of(family, size), peak_mb=peak_mb())  # fmt: skip


def rate_of(family: str, size: int) -> dict[str, float]:
    """Rates of one family on random images."""
    import torch  # noqa: PLC0415
    from torchvision import models  # noqa: PLC0415

    from ml.smears.fitting import Plan, fitting_rate  # noqa: PLC0415

    ours = fitting_rate(Plan(family=family, size_px=size), BATCH, BATCHES)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    plain = models.get_model(family, weights=None, num_classes=3).to(device).train()
    optimizer = torch.optim.AdamW(plain.parameters())
    images, truth = torch.rand(BATCH, 3, size, size, device=device), torch.zeros(BATCH).long()
    for step in range(BATCHES + 1):
        if step == 1:
            start = time.monotonic()
        loss = torch.nn.functional.cross_entropy(plain(images), truth.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    plain_rate = BATCH * BATCHES / (time.monotonic() - start)
    return {**ours, "plain_train_per_s": round(plain_rate, 1)}


def study_of(family: str) -> Study:
    """Three classes of planted or composed patients, five folds, labels shuffled once."""
    return Study.model_validate(
        {
            "name": "toy",
            "title": "Class of a smear",
            "label": {"name": "diagnosis", "version": "1", "min_patients_per_class": 5},
            "clocks": {"index": "aspiration of the marrow"},
            "features": {"service": "smear_v1"},
            "modality_sets": {"smear": ["smear"]},
            "recipes": [{"name": family, "options": OPTIONS}],
            "cross_validation": {"folds": 5, "repeats": 1, "seed": SEED},
            "calibration": None,
        }
    )


def write_frame(folder: Path, about: Sequence[tuple[str, str, str, str]]) -> Path:
    """Frame of patients, classes, sites and bags, as ``read_frame`` reads it."""
    folder.mkdir(exist_ok=True)
    common = {"modality": "smear", "unit": "1", "known": "at_index"}
    columns = {
        "smear_features__smear_performed": {**common, "feature": "smear_performed",
                                            "kind": "performed"},
        "smear_features__cells": {**common, "feature": "cells", "kind": "scalar"},
        f"smear_features__{FIELDS}": {**common, "feature": FIELDS, "kind": "setting"},
    }  # fmt: skip
    patients, labels, sites, bags = zip(*about, strict=True)
    pl.DataFrame(
        {
            "patient_id": patients,
            "index_timestamp": pl.Series([0] * len(about)).cast(pl.Datetime("us", "UTC")),
            "label": labels,
            "smear_features__smear_performed": [True] * len(about),
            "smear_features__cells": np.arange(len(about)) % 3 + 3.0,
            f"smear_features__{FIELDS}": bags,
        }
    ).write_parquet(folder / "frame.parquet")
    pl.DataFrame({"patient_id": patients, "site": sites}).write_parquet(folder / "sites.parquet")
    sidecar = {"frame_id": folder.name, "study": "toy", "label_name": "diagnosis",
               "columns": columns}  # fmt: skip
    (folder / "frame.json").write_text(json.dumps(sidecar))
    return folder


def real_cells(folder: Path) -> dict[str, list[Path]]:
    """Kind -> pictures of its cells."""
    cells: dict[str, list[Path]] = defaultdict(list)
    for number, kind in pl.read_csv(folder / "class_labels.csv").iter_rows():
        if str(kind) in REAL_KINDS:
            cells[REAL_KINDS[str(kind)]].append(folder / f"{number:03d}.png")
    return dict(cells)


def composed(
    cells: Mapping[str, Sequence[Path]], rng: np.random.Generator
) -> Iterator[tuple[str, str, list[Path]]]:
    """Patients: mostly cells of one kind, one of another; a picture belongs to one patient."""
    left = {kind: [some[row] for row in rng.permutation(len(some))] for kind, some in cells.items()}
    for number in range(REAL_PATIENTS):
        for kind in cells:
            other = max((k for k in cells if k != kind), key=lambda k: len(left[k]))
            if len(left[kind]) < REAL_FIELDS or not left[other]:
                return
            chosen = [left[kind].pop() for _ in range(REAL_FIELDS - 1)] + [left[other].pop()]
            yield f"{kind}{number:03d}", kind, chosen


def mask_of(cell: Path) -> Path:
    """Mask of a picture of a cell."""
    return cell.with_name(f"{cell.stem}_mask.png")


def at_size(mask: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Mask at the size of its field."""
    height, width = shape
    return np.asarray(Image.open(mask).resize((width, height), Image.Resampling.NEAREST))


def peak_mb() -> int:
    """Most memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def say(**line: Any) -> None:
    """Print one JSON line."""
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
