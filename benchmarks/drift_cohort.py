"""Simulated patients for the drift benchmark and its tests, with shifts that can be planted.

    seed, plant -> covariates -> columns that depend on them -> Window

Correlated and zero-inflated as real ones are; the parameters of the population never change.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from ml.drift.comparison import Window
from ml.frames.frame import Frame, FrameColumn, Sidecar

#: Seed of what all cohorts share: frequencies of mutations, correlations.
POPULATION = 20240601
VAF_BINS = 20
VAF_SHIFT = 0.12
DEPTH_LEFT = 0.65
SITES = ("Basel", "Freiburg", "Tübingen", "Ulm")
SEQUENCERS = ("HiSeq", "NextSeq", "NovaSeq")
KERNELS = ("B30f", "B40f", "B60f")
#: Columns of the 800: flags and counts of genes, their allele fractions, expression, radiomics,
#: clinical numbers.
GENES, EXPRESSION, RADIOMICS, CLINICAL = 250, 300, 107, 43

Plant = Callable[["Cohort", np.random.Generator], None]


class Cohort:
    """Simulated patients, correlated and zero-inflated as real ones are.

    Parameters
    ----------
    patients
        Number of them.
    seed
        Same seed, same patients.
    plant
        Changes the covariates before they act; None: nothing.
    width
        Multiplies the columns of genes and expression.
    """

    def __init__(
        self, patients: int, seed: int, plant: Plant | None = None, width: float = 1.0
    ) -> None:
        rng, self._model = np.random.default_rng(seed), np.random.default_rng(POPULATION)
        self.patients = patients
        self.site = rng.choice(SITES, patients, p=[0.4, 0.3, 0.2, 0.1])
        by_site = {"Basel": "NovaSeq", "Freiburg": "NextSeq"}
        usual = np.array([by_site.get(site, "HiSeq") for site in self.site])
        self.sequencer = np.where(
            rng.random(patients) < 0.7, usual, rng.choice(SEQUENCERS, patients)
        )
        self.tool = np.full(patients, "mutect2 4.2")
        self.kernel = rng.choice(KERNELS, patients, p=[0.5, 0.35, 0.15])
        self.depth_factor = np.ones(patients)
        self.vaf_shift = np.zeros(patients)
        self.sharpness = np.zeros(patients)
        if plant is not None:
            plant(self, rng)
        self.columns: dict[str, Any] = {}
        self._genomics(rng, int(GENES * width))
        self._expression(rng, int(EXPRESSION * width))
        self._imaging(rng)
        self._clinical(rng)

    def _genomics(self, rng: np.random.Generator, genes: int) -> None:
        """Histogram of allele fractions, depth, variants per gene and their largest fraction."""
        n = self.patients
        purity = rng.beta(6, 3, n)
        vaf = rng.beta(8, 8, (n, 40)) * purity[:, np.newaxis] + self.vaf_shift[:, np.newaxis]
        there = np.arange(40) < rng.poisson(18, n)[:, np.newaxis]
        place = np.clip((vaf * VAF_BINS).astype(int), 0, VAF_BINS - 1)
        cells = (place + VAF_BINS * np.arange(n)[:, np.newaxis])[there]
        histogram = np.bincount(cells, minlength=n * VAF_BINS).reshape(n, VAF_BINS)
        histogram = histogram / np.maximum(histogram.sum(axis=1, keepdims=True), 1)
        for index in range(VAF_BINS):
            self._add("snv", f"vaf_histogram_{index:02d}", histogram[:, index])
        offset = np.select([self.sequencer == name for name in SEQUENCERS], [-0.25, 0.0, 0.25])
        depth = np.exp(rng.normal(4.7, 0.3, n) + offset) * self.depth_factor
        self._add("snv", "median_depth_reads", depth)
        for index in range(4):
            self._add("snv", f"depth_{index}", depth * np.exp(rng.normal(0, 0.15, n)))
        frequency = self._model.beta(0.4, 12, genes)
        pathways = rng.normal(size=(n, 8)) @ self._model.normal(size=(8, genes)) * 0.35
        hits = rng.random((n, genes)) < frequency * np.exp(pathways - 0.3)
        for gene in range(genes):
            count = hits[:, gene] * (1 + rng.poisson(0.1, n))
            self._add("snv", f"G{gene}_variants", count)
            if gene % 3 == 0:
                # No variant, no fraction: null in most patients.
                self._add("snv", f"G{gene}_max_vaf", np.where(count > 0, vaf[:, 0], np.nan))

    def _expression(self, rng: np.random.Generator, genes: int) -> None:
        n = self.patients
        programs = rng.normal(size=(n, 12)) @ self._model.normal(size=(12, genes)) * 0.5
        batch = np.array([SITES.index(site) for site in self.site]) * 0.15
        values = programs + rng.normal(size=(n, genes)) + batch[:, np.newaxis]
        dropout = rng.random((n, genes)) < np.where(np.arange(genes) % 4 == 0, 0.7, 0.05)
        values = np.where(dropout, 0.0, np.exp(values))
        values[rng.random(n) < 0.15] = np.nan
        for gene in range(genes):
            self._add("expression", f"E{gene}", values[:, gene])

    def _imaging(self, rng: np.random.Generator) -> None:
        n = self.patients
        shared = rng.normal(size=(n, 6)) @ self._model.normal(size=(6, RADIOMICS)) * 0.6
        sharp = np.select([self.kernel == name for name in KERNELS], [0.0, 0.4, 1.2])
        texture = np.arange(RADIOMICS) % 3 == 0
        values = shared + rng.normal(size=(n, RADIOMICS)) * 0.6
        values += (sharp + self.sharpness)[:, np.newaxis] * texture
        missing = rng.random(n) < 0.3
        values[missing] = np.nan
        for index in range(RADIOMICS):
            self._add("ct", f"radiomic_{index}", values[:, index])
        kernel = [None if gap else name for gap, name in zip(missing, self.kernel, strict=True)]
        self._add("ct", "kernel", kernel)

    def _clinical(self, rng: np.random.Generator) -> None:
        n = self.patients
        values = rng.normal(size=(n, CLINICAL)) + rng.normal(size=(n, 1))
        values = np.where(rng.random((n, CLINICAL)) < 0.1, np.nan, np.exp(values).round(1))
        for index in range(CLINICAL - 2):
            self._add("clinical", f"lab_{index}", values[:, index])
        self._add("clinical", "is_secondary", rng.random(n) < 0.2)
        self._add("clinical", "subtype", rng.choice(["M0", "M1", "M2", "M4"], n))

    def _add(self, modality: str, name: str, values: Any) -> None:
        self.columns[f"{modality}_features__{name}"] = _narrow(values)

    def window(self, name: str) -> Window:
        """The patients as a frame, and where and how they were measured."""
        ids = [f"{name}{number:06d}" for number in range(self.patients)]
        rows = pl.DataFrame(
            {
                "patient_id": ids,
                "index_timestamp": [datetime(2024, 1, 1, tzinfo=UTC)] * self.patients,
                "label": ["AML"] * self.patients,
                **self.columns,
            }
        )
        columns = {column: about(column) for column in self.columns}
        sidecar = Sidecar(frame_id=name, study="simulated", label_name="class", columns=columns)
        provenance = pl.DataFrame(
            {
                "patient_id": ids,
                "site": self.site,
                "snv_features__sequencer": self.sequencer,
                "snv_features__tool": self.tool,
            }
        )
        return Window(Frame(sidecar, rows, {}), provenance)


def _narrow(values: Any) -> pl.Series:
    """Column without NaN, numbers as Float32: 20,000 x 5,000 of them are 400 MB."""
    made = pl.Series(values, nan_to_null=True)
    return made.cast(pl.Float32) if made.dtype.is_float() else made


def about(column: str, kind: str = "scalar", **more: Any) -> FrameColumn:
    """What the sidecar says of a column."""
    table, _, feature = column.partition("__")
    values = {"modality": table.removesuffix("_features"), "feature": feature, "unit": "1"}
    return FrameColumn.model_validate({**values, "known": "at_index", "kind": kind, **more})


def vaf(cohort: Cohort, rng: np.random.Generator) -> None:
    """A new caller version, in half of the patients, reports fractions higher by 0.12."""
    new = rng.random(cohort.patients) < 0.5
    cohort.tool = np.where(new, "mutect2 4.6", cohort.tool)
    cohort.vaf_shift = VAF_SHIFT * new


def depth(cohort: Cohort, rng: np.random.Generator) -> None:  # noqa: ARG001
    """One sequencer, used as often as before, loses a third of its depth."""
    cohort.depth_factor = np.where(cohort.sequencer == "NovaSeq", DEPTH_LEFT, 1.0)


def new_kernel(cohort: Cohort, rng: np.random.Generator) -> None:
    """Half of the scans are reconstructed with a sharp kernel that was never used before."""
    new = rng.random(cohort.patients) < 0.5
    cohort.kernel = np.where(new, "Br64", cohort.kernel)
    cohort.sharpness = 1.2 * new


def more_kernel(cohort: Cohort, rng: np.random.Generator) -> None:
    """A sharp kernel that 15 % of the scans had is used for 60 %."""
    cohort.kernel = rng.choice(KERNELS, cohort.patients, p=[0.2, 0.2, 0.6])


#: Plant -> the words the cause must contain.
PLANTS: dict[str, tuple[Plant, str]] = {
    "vaf": (vaf, "tool mutect2 4.6"),
    "depth": (depth, "sequencer NovaSeq"),
    "new_kernel": (new_kernel, "kernel Br64"),
    "more_kernel": (more_kernel, "kernel B60f"),
}
