"""Fusion calls of a synthetic specimen, in the files of STAR-Fusion and Arriba.

    SyntheticPatient, Specimen -> draw_fusions -> write_star_fusion or write_arriba

No call leaves a file with a header only: assessed and negative.

References
----------
STAR-Fusion wiki, "Output from STAR-Fusion"; Arriba documentation 2.4, "Output files".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assets.simulate import catalogue
from assets.simulate.catalogue import Fusion
from assets.simulate.design import patient_stream
from assets.simulate.patient import Purpose, Site, Specimen, SyntheticPatient

#: Chance of each read-through or germline event in a sample.
ARTEFACT_SHARE = 0.12
#: Mean supporting reads of a leukaemic fusion in a pure sample, and of an artefact.
MEAN_READS, MEAN_ARTEFACT_READS = 60.0, 4.0
#: Range of the fragments of a library, in millions, for the expression of a fusion (FFPM).
LIBRARY_MILLION_FRAGMENTS = (30.0, 70.0)

STAR_FUSION_COLUMNS = (
    "#FusionName", "JunctionReadCount", "SpanningFragCount", "est_J", "est_S", "SpliceType",
    "LeftGene", "LeftBreakpoint", "RightGene", "RightBreakpoint", "LargeAnchorSupport", "FFPM",
    "LeftBreakDinuc", "LeftBreakEntropy", "RightBreakDinuc", "RightBreakEntropy", "annots",
)  # fmt: skip

ARRIBA_COLUMNS = (
    "#gene1", "gene2", "strand1(gene/fusion)", "strand2(gene/fusion)", "breakpoint1",
    "breakpoint2", "site1", "site2", "type", "split_reads1", "split_reads2", "discordant_mates",
    "coverage1", "coverage2", "confidence", "reading_frame", "tags", "retained_protein_domains",
    "closest_genomic_breakpoint1", "closest_genomic_breakpoint2", "gene_id1", "gene_id2",
    "transcript_id1", "transcript_id2", "direction1", "direction2", "filters",
    "fusion_transcript", "peptide_sequence", "read_identifiers",
)  # fmt: skip


@dataclass(frozen=True)
class FusionCall:
    """A called fusion.

    Parameters
    ----------
    junction_reads, spanning_pairs
        Reads across the junction, and pairs around it.
    coverage
        Reads at either breakpoint.
    ffpm
        Supporting fragments per million of the library.
    """

    fusion: Fusion
    is_artefact: bool
    junction_reads: int
    spanning_pairs: int
    coverage: tuple[int, int]
    ffpm: float


def file_of(site: Site) -> tuple[str, str]:
    """Tool and file name, see :mod:`assets.simulate.landing_zone`."""
    if site.fusion_tool == "star-fusion":
        return site.fusion_tool, "star-fusion.fusion_predictions.tsv"
    return site.fusion_tool, "arriba.fusions.tsv"


def write_assay(path: Path, seed: int, patient: SyntheticPatient, specimen: Specimen) -> None:
    """Write the fusion calls of a specimen, by the caller of the site."""
    write = write_star_fusion if patient.site.fusion_tool == "star-fusion" else write_arriba
    write(path, draw_fusions(seed, patient, specimen))


def draw_fusions(seed: int, patient: SyntheticPatient, specimen: Specimen) -> list[FusionCall]:
    """Calls of a specimen, best supported first."""
    rng = patient_stream(seed, patient.index, 10 * specimen.number + Purpose.FUSION)
    known = catalogue.fusions()
    calls = [
        _call(known[name], rng, mean=MEAN_READS * specimen.purity, is_artefact=False)
        for name in specimen.fusions
    ]
    calls += [
        _call(fusion, rng, mean=MEAN_ARTEFACT_READS, is_artefact=True)
        for fusion in catalogue.artefact_fusions()
        if rng.random() < ARTEFACT_SHARE
    ]
    return sorted(calls, key=lambda c: (-c.junction_reads, c.fusion.name))


def write_star_fusion(path: Path, calls: Sequence[FusionCall]) -> None:
    """Write ``star-fusion.fusion_predictions.tsv``."""
    _write(path, STAR_FUSION_COLUMNS, [_star_fusion_row(call) for call in calls])


def write_arriba(path: Path, calls: Sequence[FusionCall]) -> None:
    """Write ``fusions.tsv`` of Arriba."""
    _write(path, ARRIBA_COLUMNS, [_arriba_row(call) for call in calls])


def _call(
    fusion: Fusion, rng: np.random.Generator, *, mean: float, is_artefact: bool
) -> FusionCall:
    junction, spanning = (int(reads) for reads in rng.poisson((mean, mean / 2)) + 2)
    coverage1, coverage2 = (junction + int(reads) for reads in rng.poisson(3 * MEAN_READS, size=2))
    million_fragments = rng.uniform(*LIBRARY_MILLION_FRAGMENTS)
    return FusionCall(
        fusion=fusion,
        is_artefact=is_artefact,
        junction_reads=junction,
        spanning_pairs=spanning,
        coverage=(coverage1, coverage2),
        ffpm=(junction + spanning) / million_fragments,
    )


def _star_fusion_row(call: FusionCall) -> dict[str, str]:
    left, right = call.fusion.partners
    ids = catalogue.fusion_gene_ids()
    place = _span(call.fusion)
    return {
        "#FusionName": f"{left}--{right}",
        "JunctionReadCount": str(call.junction_reads),
        "SpanningFragCount": str(call.spanning_pairs),
        "est_J": f"{call.junction_reads:.2f}",
        "est_S": f"{call.spanning_pairs:.2f}",
        "SpliceType": "ONLY_REF_SPLICE",
        "LeftGene": f"{left}^{ids[left]}",
        "LeftBreakpoint": call.fusion.left,
        "RightGene": f"{right}^{ids[right]}",
        "RightBreakpoint": call.fusion.right,
        "LargeAnchorSupport": "YES_LDAS",
        "FFPM": f"{call.ffpm:.4f}",
        "LeftBreakDinuc": "GT",
        "LeftBreakEntropy": "1.8892",
        "RightBreakDinuc": "AG",
        "RightBreakEntropy": "1.9656",
        "annots": f'["{place}"]' if call.is_artefact else f'["Mitelman","{place}"]',
    }


def _arriba_row(call: FusionCall) -> dict[str, str]:
    left, right = call.fusion.partners
    ids = catalogue.fusion_gene_ids()
    (place1, strand1), (place2, strand2) = (
        end.rsplit(":", 1) for end in (call.fusion.left, call.fusion.right)
    )
    is_same = place1.split(":")[0] == place2.split(":")[0]
    split1 = call.junction_reads // 2
    row = dict.fromkeys(ARRIBA_COLUMNS, ".")
    return row | {
        "#gene1": left,
        "gene2": right,
        "strand1(gene/fusion)": f"{strand1}/{strand1}",
        "strand2(gene/fusion)": f"{strand2}/{strand2}",
        "breakpoint1": place1,
        "breakpoint2": place2,
        "site1": "CDS/splice-site",
        "site2": "CDS/splice-site",
        "type": "deletion/read-through" if is_same else "translocation",
        "split_reads1": str(split1),
        "split_reads2": str(call.junction_reads - split1),
        "discordant_mates": str(call.spanning_pairs),
        "coverage1": str(call.coverage[0]),
        "coverage2": str(call.coverage[1]),
        "confidence": "low" if call.is_artefact else "high",
        "reading_frame": "in-frame",
        "gene_id1": ids[left],
        "gene_id2": ids[right],
        "direction1": "downstream" if strand1 == "+" else "upstream",
        "direction2": "upstream" if strand2 == "+" else "downstream",
        "filters": "duplicates(3)",
    }


def _span(fusion: Fusion) -> str:
    first, second = (end.split(":")[0] for end in (fusion.left, fusion.right))
    if first == second:
        return f"INTRACHROMOSOMAL[{first}]"
    return f"INTERCHROMOSOMAL[{first}--{second}]"


def _write(path: Path, columns: Sequence[str], rows: Sequence[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(columns), *("\t".join(row[name] for name in columns) for row in rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
