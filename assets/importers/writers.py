"""Writers of the landing layout: what an importer hands over becomes files the readers know.

    specimen's calls -> write_vcf        -> <name>.vcf.gz and <name>.vcf.gz.tbi
    specimen's genes -> write_expression -> genes and one column that names its unit
    specimen's segments -> write_seg     -> the columns of IGV's SEG
    specimen's call  -> write_fusions    -> STAR-Fusion columns; header only = negative

The same input gives the same bytes. What a cohort's columns mean is its importer's business.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pysam

#: Contig -> length in bases of GRCh37 (GRC, assembly GCA_000001405.1; MT is the rCRS) and of GRCh38
#: (GCA_000001405.15), in the order of a VCF.
_LENGTHS = {
    "1": (249_250_621, 248_956_422),
    "2": (243_199_373, 242_193_529),
    "3": (198_022_430, 198_295_559),
    "4": (191_154_276, 190_214_555),
    "5": (180_915_260, 181_538_259),
    "6": (171_115_067, 170_805_979),
    "7": (159_138_663, 159_345_973),
    "8": (146_364_022, 145_138_636),
    "9": (141_213_431, 138_394_717),
    "10": (135_534_747, 133_797_422),
    "11": (135_006_516, 135_086_622),
    "12": (133_851_895, 133_275_309),
    "13": (115_169_878, 114_364_328),
    "14": (107_349_540, 107_043_718),
    "15": (102_531_392, 101_991_189),
    "16": (90_354_753, 90_338_345),
    "17": (81_195_210, 83_257_441),
    "18": (78_077_248, 80_373_285),
    "19": (59_128_983, 58_617_616),
    "20": (63_025_520, 64_444_167),
    "21": (48_129_895, 46_709_983),
    "22": (51_304_566, 50_818_468),
    "X": (155_270_560, 156_040_895),
    "Y": (59_373_566, 57_227_415),
    "MT": (16_569, 16_569),
}
#: Build -> its contigs -> length.
CONTIGS = {
    build: {contig: lengths[number] for contig, lengths in _LENGTHS.items()}
    for number, build in enumerate(("GRCh37", "GRCh38"))
}

#: Fields of the CSQ annotation, in order, with the names of Ensembl VEP.
CSQ_FIELDS = (
    "Allele", "Consequence", "SYMBOL", "Gene", "HGVSc", "HGVSp", "BIOTYPE", "Existing_variation",
    "SIFT", "PolyPhen",
)  # fmt: skip

#: Columns of a call: position (1-based), alleles, reads of the caller whose counts are taken, the
#: same per caller, whether a matched normal was missing, and the CSQ annotation. Null: not known.
CALL_SCHEMA = pl.Schema(
    {
        "chrom": pl.String(),
        "pos": pl.Int64(),
        "ref": pl.String(),
        "alt": pl.String(),
        "alt_reads": pl.Int64(),
        "depth": pl.Int64(),
        "callers": pl.List(pl.String()),
        "caller_alt_reads": pl.List(pl.Int64()),
        "caller_depths": pl.List(pl.Int64()),
        "is_tumor_only": pl.Boolean(),
        "csq": pl.String(),
    }
)

#: Columns of a segment: contig, first and last position (1-based), number of markers (null: not
#: known), and mean log2 ratio to two copies.
SEGMENT_SCHEMA = pl.Schema(
    {
        "chrom": pl.String(),
        "start": pl.Int64(),
        "end": pl.Int64(),
        "markers": pl.Int64(),
        "log2_ratio": pl.Float64(),
    }
)
#: The same as IGV names them, behind the name of the sample.
SEG_COLUMNS = ("ID", "chrom", "loc.start", "loc.end", "num.mark", "seg.mean")

#: Columns of a fusion table: those of STAR-Fusion up to the breakpoints, then its FFPM.
FUSION_COLUMNS = (
    "#FusionName",
    "JunctionReadCount",
    "SpanningFragCount",
    "SpliceType",
    "LeftGene",
    "LeftBreakpoint",
    "RightGene",
    "RightBreakpoint",
    "FFPM",
)
#: A value that is not known, as STAR-Fusion writes it.
UNKNOWN = "."

_CSQ_FORMAT = "|".join(CSQ_FIELDS)
_HEADER_LINES = (
    '##INFO=<ID=CALLERS,Number=.,Type=String,Description="Callers that report the variant">',
    '##INFO=<ID=CALLER_AD,Number=.,Type=Integer,Description="Alternate reads, one per caller">',
    '##INFO=<ID=CALLER_DP,Number=.,Type=Integer,Description="Depth, one per caller">',
    '##INFO=<ID=TUMOR_ONLY,Number=0,Type=Flag,Description="Called without a matched normal">',
    (
        "##INFO=<ID=CSQ,Number=.,Type=String,"
        f'Description="Consequence annotations from Ensembl VEP. Format: {_CSQ_FORMAT}">'
    ),
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
    '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Reads per allele">',
    '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">',
    '##FORMAT=<ID=AF,Number=A,Type=Float,Description="Fraction of alternate reads">',
)


def write_vcf(
    path: Path, sample: str, calls: pl.DataFrame, *, source: str, build: str = "GRCh37"
) -> None:
    """Write the calls of one specimen as bgzipped VCF with its tabix index.

    Parameters
    ----------
    path
        File to write, ending in ``.vcf.gz``.
    sample
        Name of the only sample column.
    calls
        Columns of :data:`CALL_SCHEMA`, sorted by contig and position; no rows make a VCF without
        records: sequenced, nothing found.
    source
        What the calls come from, for the header.
    build
        Genome build of the positions, one of :data:`~assets.importers.writers.CONTIGS`.

    Notes
    -----
    GT is ``0/1``: a somatic call says that both alleles were seen, not how many copies there are.
    """
    with pysam.VariantFile(str(path), "wz", header=_vcf_header(sample, source, build)) as vcf:
        for call in calls.iter_rows(named=True):
            start = call["pos"] - 1
            record = vcf.new_record(
                contig=call["chrom"],
                start=start,
                stop=start + len(call["ref"]),
                alleles=(call["ref"], call["alt"]),
                filter="PASS",
                info=_info(call),
                samples=[_genotype(call)],
            )
            vcf.write(record)
    pysam.tabix_index(str(path), preset="vcf", force=True)


def _vcf_header(sample: str, source: str, build: str) -> pysam.VariantHeader:
    header = pysam.VariantHeader()
    header.add_line(f"##source={source}")
    header.add_line(f"##reference={build}")
    for contig, length in CONTIGS[build].items():
        header.add_line(f"##contig=<ID={contig},length={length},assembly={build}>")
    for line in _HEADER_LINES:
        header.add_line(line)
    header.add_sample(sample)
    return header


def _info(call: dict[str, Any]) -> dict[str, Any]:
    info = {
        "CALLERS": call["callers"],
        "CALLER_AD": call["caller_alt_reads"],
        "CALLER_DP": call["caller_depths"],
        "TUMOR_ONLY": call["is_tumor_only"],
        "CSQ": call["csq"],
    }
    return {key: value for key, value in info.items() if value is not None}


def _genotype(call: dict[str, Any]) -> dict[str, Any]:
    alt_reads, depth = call["alt_reads"], call["depth"]
    if alt_reads is None or depth is None:
        return {"GT": (0, 1), "DP": depth}
    return {
        "GT": (0, 1),
        "AD": (depth - alt_reads, alt_reads),
        "DP": depth,
        "AF": alt_reads / depth if depth else None,
    }


def write_expression(
    path: Path, genes: pl.Series, values: pl.Series, *, unit: str, gene_column: str = "gene_symbol"
) -> None:
    """Write the expression of one specimen, tab-separated.

    Parameters
    ----------
    genes
        Gene symbols or identifiers, one per row.
    values
        Their expression.
    unit
        Name of the value column, for example ``log2_expression``.
    gene_column
        Name of the column of genes.
    """
    table = pl.DataFrame({gene_column: genes, unit: values})
    table.write_csv(path, separator="\t")


def write_seg(path: Path, sample: str, segments: pl.DataFrame) -> None:
    """Write the segments of one specimen, tab-separated.

    Parameters
    ----------
    sample
        Name of the sample.
    segments
        Columns of :data:`SEGMENT_SCHEMA`, sorted by contig and position.

    References
    ----------
    IGV, "Segmented Data File Format" (SEG).
    """
    columns = dict(zip(SEGMENT_SCHEMA, SEG_COLUMNS[1:], strict=True))
    table = segments.select(pl.lit(sample).alias(SEG_COLUMNS[0]), *columns).rename(columns)
    table.write_csv(path, separator="\t", null_value="NA")


def write_fusions(path: Path, fusions: Sequence[tuple[str, str]]) -> None:
    """Write the fusions of one specimen in the columns of STAR-Fusion, tab-separated.

    Parameters
    ----------
    fusions
        Partners of each fusion, ``UNKNOWN`` where one is not known; none of them make a table
        with a header only: assessed and negative. Reads and breakpoints are ``UNKNOWN``.

    References
    ----------
    STAR-Fusion, "Output from STAR-Fusion": https://github.com/STAR-Fusion/STAR-Fusion/wiki
    """
    rows = [
        {
            **dict.fromkeys(FUSION_COLUMNS, UNKNOWN),
            "#FusionName": f"{left}--{right}",
            "LeftGene": left,
            "RightGene": right,
        }
        for left, right in fusions
    ]
    table = pl.DataFrame(rows, schema=dict.fromkeys(FUSION_COLUMNS, pl.String()))
    table.write_csv(path, separator="\t")
