"""Structural variants of a synthetic specimen, in the VCF of Manta.

    planted joins, passengers, what the caller filtered -> write_manta -> somaticSV.vcf.gz

Breakends stand as pairs with MATEID, inversions too, as Manta writes them since version 1.5.

References
----------
Manta user guide, "Output"; the Variant Call Format specification 4.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assets.simulate.design import patient_stream
from assets.simulate.karyotype import Join, planted_joins
from assets.simulate.patient import Purpose, Site, Specimen, SyntheticPatient
from assets.simulate.vcf_files import NORMAL_SUFFIX, TUMOUR_SUFFIX, write_bgzip
from oncoframe.reference.builds import CHROMOSOMES, GRCH38
from oncoframe.reference.load import built_in

#: Mean number of passengers that the caller believes, and of calls that it does not.
MEAN_PASSENGERS, MEAN_FILTERED = 3.0, 5.0
#: Shortest and longest deletion or duplication without meaning, in base pairs.
PASSENGER_BP = (80, 60_000)
#: Mean reads and pairs at a break.
MEAN_DEPTH = 60.0

_HEADER = """##fileformat=VCFv4.1
##source=GenerateSVCandidates 1.6.0
##reference=file:///reference/GRCh38.fa
##INFO=<ID=IMPRECISE,Number=0,Type=Flag,Description="Imprecise structural variation">
##INFO=<ID=SVTYPE,Number=1,Type=String,Description="Type of structural variant">
##INFO=<ID=SVLEN,Number=.,Type=Integer,Description="Difference in length between REF and ALT alleles">
##INFO=<ID=END,Number=1,Type=Integer,Description="End position of the variant described in this record">
##INFO=<ID=MATEID,Number=.,Type=String,Description="ID of mate breakend">
##INFO=<ID=SOMATIC,Number=0,Type=Flag,Description="Somatic mutation">
##INFO=<ID=SOMATICSCORE,Number=1,Type=Integer,Description="Somatic variant quality score">
##FORMAT=<ID=PR,Number=.,Type=Integer,Description="Spanning paired-read support for the ref and alt alleles in the order listed">
##FORMAT=<ID=SR,Number=.,Type=Integer,Description="Split reads for the ref and alt alleles in the order listed">
##FILTER=<ID=MinSomaticScore,Description="Somatic score is less than 30">
##ALT=<ID=DEL,Description="Deletion">
##ALT=<ID=DUP:TANDEM,Description="Tandem Duplication">
"""  # noqa: E501  # lines of the format
#: ALT of a breakend by the sides of both places.
_BRACKETS = {"+-": "N[{}[", "++": "N]{}]", "-+": "]{}]N", "--": "[{}[N"}


@dataclass(frozen=True)
class SvCall:
    """A join as called, with its alternate pairs and split reads and all of either."""

    join: Join
    filter: str
    alt: tuple[int, int]
    depth: tuple[int, int]


def file_of(site: Site) -> tuple[str, str]:
    """Tool and file name, see :mod:`assets.simulate.landing_zone`."""
    del site
    return "manta", "manta.vcf.gz"


def write_assay(path: Path, seed: int, patient: SyntheticPatient, specimen: Specimen) -> None:
    """Write the structural variants of a specimen."""
    calls = draw_structural(seed, patient, specimen)
    write_manta(path, patient.patient_id, calls, has_normal=patient.site.has_normal_sample)


def draw_structural(seed: int, patient: SyntheticPatient, specimen: Specimen) -> list[SvCall]:
    """All calls of a specimen: planted, passengers, filtered."""
    rng = patient_stream(seed, patient.index, 10 * specimen.number + Purpose.SV_CALLS)
    vaf = specimen.purity / 2
    calls = [_call(join, "PASS", vaf, rng) for join in planted_joins(seed, patient, specimen)]
    number, filtered = rng.poisson((MEAN_PASSENGERS, MEAN_FILTERED))
    calls += [_call(_passenger(rng), "PASS", max(vaf, 0.05), rng) for _ in range(number)]
    calls += [_call(_passenger(rng), "MinSomaticScore", 0.04, rng) for _ in range(filtered)]
    return calls


def write_manta(path: Path, patient_id: str, calls: Sequence[SvCall], *, has_normal: bool) -> None:
    """Write ``somaticSV.vcf.gz``, or ``tumorSV.vcf.gz`` of a tumour without a normal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = [patient_id + NORMAL_SUFFIX] if has_normal else []
    samples.append(patient_id + TUMOUR_SUFFIX)
    lengths = built_in(GRCH38).lengths
    contigs = "".join(f"##contig=<ID=chr{name},length={lengths[name]}>\n" for name in CHROMOSOMES)
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]
    rows = [row for at, call in enumerate(calls) for row in _rows(call, at, has_normal=has_normal)]
    order = {name: number for number, name in enumerate(CHROMOSOMES)}
    rows.sort(key=lambda row: (order[row[0].removeprefix("chr")], int(row[1]), row[2]))
    body = "".join("\t".join(row) + "\n" for row in [columns, *rows])
    write_bgzip(path, _HEADER + contigs + body)


def _passenger(rng: np.random.Generator) -> Join:
    lengths = built_in(GRCH38).lengths
    chrom = CHROMOSOMES[rng.integers(22)]
    size = int(np.exp(rng.uniform(*np.log(PASSENGER_BP))))
    start = int(rng.integers(1_000_000, lengths[chrom] - 1_000_000))
    sides = ("+", "-") if rng.random() < 0.7 else ("-", "+")  # noqa: PLR2004  # deletions
    return Join(chrom, start, sides[0], chrom, start + size, sides[1], "passenger")


def _call(join: Join, reason: str, vaf: float, rng: np.random.Generator) -> SvCall:
    pairs, split = (int(n) for n in rng.poisson(MEAN_DEPTH, size=2) + 20)
    alt = tuple(int(max(rng.binomial(n, vaf), 2)) for n in (pairs, split))
    return SvCall(join, reason, (alt[0], alt[1]), (pairs, split))


def _rows(call: SvCall, number: int, *, has_normal: bool) -> list[list[str]]:
    join = call.join
    first, second = sorted(
        ((join.chrom1, join.pos1, join.side1), (join.chrom2, join.pos2, join.side2)),
        key=lambda place: (CHROMOSOMES.index(place[0]), place[1]),
    )
    score = 30 + 2 * sum(call.alt) if call.filter == "PASS" else 12
    somatic = f";SOMATIC;SOMATICSCORE={score}" if has_normal else ""
    reads = [
        ":".join(f"{all_ - alt},{alt}" for alt, all_ in zip(call.alt, call.depth, strict=True))
    ]
    if has_normal:
        reads.insert(0, f"{call.depth[0]},0:{call.depth[1]},0")
    sides = first[2] + second[2]
    if first[0] == second[0] and sides in ("+-", "-+"):
        kind, allele = ("DEL", "<DEL>") if sides == "+-" else ("DUP", "<DUP:TANDEM>")
        size = second[1] - first[1]
        info = f"END={second[1]};SVTYPE={kind};SVLEN={-size if kind == 'DEL' else size}{somatic}"
        record = [f"Manta{kind}:{number}:0:1:0:0:0", "N", allele, ".", call.filter, info, "PR:SR"]
        return [[f"chr{first[0]}", str(first[1]), *record, *reads]]
    rows = []
    for mine, (here, there) in enumerate(((first, second), (second, first))):
        names = [f"MantaBND:{number}:0:1:0:0:0:{end}" for end in (mine, 1 - mine)]
        alt = _BRACKETS[here[2] + there[2]].format(f"chr{there[0]}:{there[1]}")
        info = f"SVTYPE=BND;MATEID={names[1]}{somatic}"
        record = [names[0], "N", alt, ".", call.filter, info, "PR:SR"]
        rows.append([f"chr{here[0]}", str(here[1]), *record, *reads])
    return rows
