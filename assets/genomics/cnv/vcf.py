"""Copy numbers of a VCF, as CNVkit, DRAGEN, GATK, DELLY, CNVnator and FACETS write them.

    path -> records with INFO and FORMAT keys -> Segments

The ratio is, first that is given: FOLD_CHANGE (CNVkit), SM (DRAGEN), natorRD (CNVnator), RDCN / 2
(DELLY), copies / 2. Copies are CN, TCN_EM (FACETS), else what the genotype of a deletion says, in
a file that declares copy numbers. A file that lists no normal segment lists only what is altered.

References
----------
The Variant Call Format specification 4.4, section 3 (CN, SVCLAIM); documentation of the callers.
"""

import re
from pathlib import Path

import polars as pl

from assets.genomics.cnv.tables import SEGMENT_SCHEMA, Segments
from assets.genomics.vcf.events import Events, read_events
from assets.genomics.vcf.kind import Kind, declares, is_small, refuse_other_kind

_INFO = (
    "SVTYPE", "END", "SVLEN", "REFLEN", "SVCLAIM", "FOLD_CHANGE", "FOLD_CHANGE_LOG", "natorRD",
    "TCN_EM", "LCN_EM",
)  # fmt: skip
_FORMATS = ("GT", "CN", "MCN", "SM", "RDCN")
#: INFO with copies or a ratio of the sample.
_TOLD_BY = r"(?:^|;)(?:FOLD_CHANGE|FOLD_CHANGE_LOG|natorRD|TCN_EM)=[^;.]"
#: Keys of a number of copies or a ratio.
_OWN_NUMBERS = ("FOLD_CHANGE", "FOLD_CHANGE_LOG", "natorRD", "TCN_EM", "FORMAT/CN", "FORMAT/SM",
                "FORMAT/RDCN")  # fmt: skip
#: Types of events without a change of copies.
_NO_COPIES = ("BND", "TRA", "CTX", "ITX", "INV", "INS")
#: FILTER values of a record that its caller believes.
_PASSING = ("PASS", ".")
#: Meta lines that give the share of tumour cells and the mean copies of a tumour cell.
_PURITY = re.compile(r"##(?:EstimatedTumorPurity|TumorPurity|purity)=([0-9.]+)", re.IGNORECASE)
_PLOIDY = re.compile(r"##(?:OverallPloidy|ploidy|EstimatedPloidy)=([0-9.]+)", re.IGNORECASE)


def read_cnv_vcf(
    path: Path, *, reference_build: str | None, sample: str | None = None
) -> tuple[Segments, Events]:
    """Segments of a VCF, in file order, and the records that they are from.

    Raises
    ------
    BadInput
        As :func:`assets.genomics.vcf.events.read_events`; WrongFormat also if the records are of
        another kind.
    """
    events = read_events(
        path,
        reference_build=reference_build,
        info=_INFO,
        formats=_FORMATS,
        told_by=_TOLD_BY,
        sample=sample,
    )
    _refuse_other_kind(path, events)
    rows = _with_numbers(events)
    segments = rows.select(
        "line",
        pl.lit(None, pl.String).alias("sample"),
        "chrom",
        # POS is the base before a symbolic allele.
        (pl.col("pos") + 1).alias("start"),
        pl.coalesce("stop", pl.col("pos") + pl.col("length")).alias("end"),
        pl.lit(None, pl.String).alias("gene"),
        "ratio",
        "copies",
        "minor",
    ).cast(SEGMENT_SCHEMA)
    is_event = pl.col("SVTYPE").is_in(["DEL", "DUP"]).fill_null(value=False)
    is_normal = ((pl.col("alt") == ".") & ~is_event) | (pl.col("ratio") == 1)
    found = Segments(
        segments,
        lists_events=not rows.select(is_normal.any()).item(),
        purity=_from_meta(events, _PURITY),
        ploidy=_from_meta(events, _PLOIDY),
        reasons=dict(rows.filter(pl.col("reason").is_not_null()).select("line", "reason").rows()),
    )
    return found, events


def _refuse_other_kind(path: Path, events: Events) -> None:
    """Refuse files of variants: alleles with a sequence, breakends, events without copies."""
    rows = events.rows.filter(pl.col("alt") != ".")
    if rows.is_empty() and len(events.rows):
        return
    has_copies = pl.any_horizontal(pl.col(*_OWN_NUMBERS).is_not_null())
    # Files of both, as DRAGEN merges them, may have few copy numbers.
    if rows.select((has_copies & pl.col("alt").str.starts_with("<")).any()).item():
        return
    small = is_small()
    if not declares(events.header, Kind.SMALL):
        # Callers of small variants give an SVTYPE too (Pindel).
        small &= pl.col("SVTYPE").is_null()
    is_structural = (
        pl.col("alt").str.contains(r"[\[\]]")
        | pl.col("SVTYPE").is_in(_NO_COPIES).fill_null(value=False)
        | (pl.col("alt").str.contains("^[ACGTUNacgtun]+$") & pl.col("SVTYPE").is_not_null())
    )
    if declares(events.header, Kind.STRUCTURAL) and not declares(events.header, Kind.COPY_NUMBER):
        is_structural |= pl.col("alt").str.starts_with("<")
    others = {
        Kind.SMALL: rows.filter(small).height,
        Kind.STRUCTURAL: rows.filter(is_structural & ~small).height,
    }
    refuse_other_kind(path, events.header, Kind.COPY_NUMBER, others, len(rows))


def _with_numbers(events: Events) -> pl.DataFrame:
    def number(key: str) -> pl.Expr:
        value = pl.col(key).str.split(",").list.first().cast(pl.Float64, strict=False)
        return pl.when(value.is_finite()).then(value)

    whole = {key: pl.col(key).cast(pl.Int64, strict=False) for key in ("END", "SVLEN", "REFLEN")}
    alleles = pl.col("FORMAT/GT").str.extract_all(r"\d+")
    lost = alleles.list.eval((pl.element() != "0").cast(pl.Int64)).list.sum()
    # The genotype of a deletion tells copies only in a file that says that it is of copy numbers.
    is_told = (pl.col("alt") == "<DEL>") & declares(events.header, Kind.COPY_NUMBER)
    is_told &= alleles.list.len() == 2  # noqa: PLR2004  # diploid
    by_genotype = pl.when(is_told).then(2.0 - lost)
    rows = events.rows.with_columns(
        stop=whole["END"],
        length=pl.coalesce(whole["SVLEN"].abs(), whole["REFLEN"]),
        copies=pl.coalesce(number("FORMAT/CN"), number("TCN_EM"), number("FORMAT/RDCN").round(),
                           by_genotype),
        minor=pl.coalesce(number("FORMAT/MCN"), number("LCN_EM")),
    )  # fmt: skip
    ratio = pl.coalesce(
        2.0 ** number("FOLD_CHANGE_LOG"),
        number("FOLD_CHANGE"),
        number("FORMAT/SM"),
        number("natorRD"),
        number("FORMAT/RDCN") / 2,
        pl.col("copies") / 2,
    )
    # Alleles of bases and breakends are events with a sequence; they say nothing of copies.
    is_symbolic = pl.col("alt").str.contains(r"^(?:\.|<[^>]+>(?:,<[^>]+>)*)$")
    reason = (
        pl.when(pl.col("SVCLAIM") == "J").then(pl.lit("no_copy_number"))
        .when(~is_symbolic).then(pl.lit("no_copy_number"))
        .when(~pl.col("filter").is_in(_PASSING)).then(pl.lit("filter_not_pass"))
        .when("is_no_call").then(pl.lit("no_call"))
    )  # fmt: skip
    return rows.with_columns(ratio=ratio, reason=reason)


def _from_meta(events: Events, pattern: re.Pattern[str]) -> float | None:
    for line in events.header.meta:
        if match := pattern.match(line):
            try:
                return float(match[1])
            except ValueError:
                return None
    return None
