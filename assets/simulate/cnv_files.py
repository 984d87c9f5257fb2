"""Copy numbers of a synthetic specimen, in the segments of CNVkit.

    planted changes, purity -> copies along the genome -> write_call_cns -> .call.cns

Ratios are to a pool of normal samples of the same sex, so X and Y of a man are 1 where nothing is
lost.

References
----------
CNVkit documentation, "File formats" and "call".
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from assets.simulate.design import patient_stream
from assets.simulate.karyotype import planted_copies
from assets.simulate.patient import Purpose, Site, Specimen, SyntheticPatient
from oncoframe.reference.builds import CHROMOSOMES, GRCH38
from oncoframe.reference.load import built_in

#: Standard deviation of the mean log2 ratio of a segment.
LOG2_SD = 0.015
#: Smallest ratio that is written, and bases per bin of the caller.
MIN_RATIO, BIN_BP = 0.01, 50_000

COLUMNS = ("chromosome", "start", "end", "gene", "log2", "cn", "cn1", "cn2", "depth", "probes",
           "weight")  # fmt: skip


@dataclass(frozen=True)
class Segment:
    """Copies of a stretch in a leukaemic and in a normal cell; 1-based, closed."""

    chrom: str
    start: int
    end: int
    copies: int
    normal: int


def file_of(site: Site) -> tuple[str, str]:
    """Tool and file name, see :mod:`assets.simulate.landing_zone`."""
    del site
    return "cnvkit", "call.cns"


def write_assay(path: Path, seed: int, patient: SyntheticPatient, specimen: Specimen) -> None:
    """Write the copy numbers of a specimen."""
    segments = draw_segments(seed, patient, specimen)
    noise = draw_noise(seed, patient, specimen, len(segments))
    write_call_cns(path, segments, specimen.purity, noise)


def draw_segments(seed: int, patient: SyntheticPatient, specimen: Specimen) -> list[Segment]:
    """Segments of a specimen along the genome."""
    lengths = built_in(GRCH38).lengths
    changes = planted_copies(seed, patient, specimen)
    is_male = patient.sex == "male"
    segments = []
    for chrom in CHROMOSOMES:
        if chrom == "Y" and not is_male:
            continue
        normal = 1 if chrom in ("X", "Y") and is_male else 2
        mine = [change for change in changes if change.chrom == chrom]
        borders = {1, lengths[chrom] + 1}
        borders |= {edge for c in mine for edge in (c.start, c.end + 1)}
        for start, after in pairwise(sorted(borders)):
            gained = sum(c.gained for c in mine if c.start <= start <= c.end)
            segments.append(Segment(chrom, start, after - 1, max(normal + gained, 0), normal))
    return segments


def write_call_cns(path: Path, segments: list[Segment], purity: float, noise: np.ndarray) -> None:
    """Write a ``.call.cns``.

    Parameters
    ----------
    noise : (segments,) array of float
        Added to the log2 ratios.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(COLUMNS)]
    for segment, error in zip(segments, noise, strict=True):
        mixed = purity * segment.copies + (1 - purity) * segment.normal
        log2 = np.log2(max(mixed / segment.normal, MIN_RATIO)) + error
        minor = min(segment.copies // 2, segment.copies)
        bins = max((segment.end - segment.start) // BIN_BP, 1)
        lines.append(
            f"chr{segment.chrom}\t{segment.start - 1}\t{segment.end}\t-\t{log2:.6g}\t"
            f"{segment.copies}\t{segment.copies - minor}\t{minor}\t{30 * 2.0**log2:.4f}\t{bins}\t"
            f"{0.8 * bins:.1f}"
        )
    path.write_text("\n".join(lines) + "\n", "utf-8")


def draw_noise(seed: int, patient: SyntheticPatient, specimen: Specimen, number: int) -> np.ndarray:
    """Noise of the log2 ratios: (number,) array of float."""
    rng = patient_stream(seed, patient.index, 10 * specimen.number + Purpose.CNV)
    noise: np.ndarray = rng.normal(0.0, LOG2_SD, size=number)
    return noise
