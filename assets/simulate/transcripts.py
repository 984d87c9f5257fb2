"""Expression of a synthetic specimen: read counts per gene, and the files counters write.

    SyntheticPatient, Specimen -> draw_counts -> write_star or write_htseq

Counts are negative binomial around a marrow's base expression plus the programs of the picture,
diluted by normal cells; patients differ in every program and gene, so entities overlap.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from assets.simulate import catalogue
from assets.simulate.design import patient_stream
from assets.simulate.patient import Purpose, Site, Specimen, SyntheticPatient

#: Median and log standard deviation of the reads on the measured genes.
LIBRARY_READS, LIBRARY_LOG_SD = 2.0e6, 0.35
#: Dispersion of the counts of a gene (variance = mean + dispersion * mean^2).
DISPERSION = 0.12
#: Standard deviation between patients of a program and of a gene, log2.
PROGRAM_SD, GENE_SD = 0.25, 0.35
#: log2 expression of a sex-linked gene in the sex that expresses it.
SEX_LINKED = 5.0
#: Share of the reads of a reverse-stranded library that fall on the other strand.
ANTISENSE_SHARE = 0.03


def file_of(site: Site) -> tuple[str, str]:
    """Tool and file name, see :mod:`assets.simulate.landing_zone`."""
    if site.expression_tool == "star":
        return site.expression_tool, "ReadsPerGene.out.tab"
    return site.expression_tool, "htseq.counts.txt"


def write_assay(path: Path, seed: int, patient: SyntheticPatient, specimen: Specimen) -> None:
    """Write the read counts of a specimen, by the counter of the site."""
    counter = patient_stream(seed, patient.index, 10 * specimen.number + Purpose.COUNTER)
    write = write_star if patient.site.expression_tool == "star" else write_htseq
    write(path, draw_counts(seed, patient, specimen), counter)


def draw_counts(seed: int, patient: SyntheticPatient, specimen: Specimen) -> np.ndarray:
    """Reads per gene.

    Returns
    -------
    (genes,) array of int, in the order of :func:`~assets.simulate.catalogue.transcriptome`.
    """
    rng = patient_stream(seed, patient.index, 10 * specimen.number + Purpose.EXPRESSION)
    genes = catalogue.transcriptome()
    shift = np.zeros(len(genes.genes))
    for program, positions in genes.programs.items():
        of_picture = patient.picture.programs.get(program, 0.0) * specimen.purity
        shift[positions] += of_picture + PROGRAM_SD * rng.standard_normal()
    shift *= genes.weights
    for gene, change in patient.picture.genes.items():
        shift[genes.genes.index(gene)] += change * specimen.purity
    shift += GENE_SD * rng.standard_normal(len(shift))
    sex_linked = genes.female if patient.sex == "female" else genes.male
    shift[sex_linked] += SEX_LINKED
    level = np.exp2(genes.base + shift)
    library = LIBRARY_READS * np.exp(LIBRARY_LOG_SD * rng.standard_normal())
    mean = library * level / level.sum()
    counts: np.ndarray = rng.negative_binomial(1 / DISPERSION, 1 / (1 + DISPERSION * mean))
    return counts


def write_star(path: Path, counts: np.ndarray, rng: np.random.Generator) -> None:
    """Write ``ReadsPerGene.out.tab`` of STAR for a reverse-stranded library.

    Columns are gene, reads counted unstranded, on the first and on the second strand; the first
    four rows count reads without a gene (STAR manual, "Counting number of reads per gene").
    """
    antisense = rng.binomial(counts, ANTISENSE_SHARE)
    total = int(counts.sum())
    unmapped, multimapping = (int(total * share) for share in rng.uniform(0.02, 0.1, size=2))
    outside = rng.uniform(0.03, 0.2, size=3)
    no_feature = [int(total * share) for share in (outside[0], 0.9, outside[0])]
    ambiguous = [int(total * share) for share in (outside[1], outside[2] / 9, outside[2] / 3)]
    rows = [
        ("N_unmapped", *[unmapped] * 3),
        ("N_multimapping", *[multimapping] * 3),
        ("N_noFeature", *no_feature),
        ("N_ambiguous", *ambiguous),
        *zip(
            catalogue.transcriptome().genes,
            counts.tolist(),
            antisense.tolist(),
            (counts - antisense).tolist(),
            strict=True,
        ),
    ]
    _write(path, rows)


def write_htseq(path: Path, counts: np.ndarray, rng: np.random.Generator) -> None:
    """Write the output of ``htseq-count``: gene and reads, five summary rows at the end."""
    total = int(counts.sum())
    summary = ("__no_feature", "__ambiguous", "__too_low_aQual", "__not_aligned")
    shares = rng.uniform(0.01, 0.1, size=len(summary))
    rows = [
        *zip(catalogue.transcriptome().genes, counts.tolist(), strict=True),
        *((name, int(total * share)) for name, share in zip(summary, shares, strict=True)),
        ("__alignment_not_unique", int(total * rng.uniform(0.05, 0.15))),
    ]
    _write(path, rows)


def _write(path: Path, rows: Sequence[tuple[object, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), "utf-8")
