"""Structural variants of a VCF, record by record: type, two places, which sides are joined.

    records with their keys -> alleles -> type, places, sides, support, the reason if one is unfit

A side is ``+`` where what lies left of the place stays (toward the start of the chromosome) and
``-`` where what lies right of it stays: a deletion joins ``+`` to ``-``, a tandem duplication ``-``
to ``+``, an inversion ``+`` to ``+`` and ``-`` to ``-``. Sides come from a breakend's brackets, CT
(DELLY), STRANDS (LUMPY, Sniffles), INV3 and INV5 (Manta).

References
----------
The Variant Call Format specification 4.4, section 5.4 (breakends); documentation of the callers.
"""

import polars as pl

from assets.genomics.contigs import is_chromosome
from assets.genomics.vcf.kind import MIN_EVENT_BP
from oncoframe.reference.builds import chromosome_names

#: Keys that :func:`with_structure` needs in the records.
INFO_KEYS = (
    "SVTYPE", "END", "SVLEN", "CHR2", "POS2", "CT", "STRANDS", "INV3", "INV5", "MATEID", "PARID",
    "SVCLAIM", "FOLD_CHANGE", "SVINSLEN",
)  # fmt: skip
FORMAT_KEYS = ("GT", "PR", "SR", "DV", "RV", "SU", "VF", "AD")
#: INFO of callers that count the reads of their only sample there (LUMPY, DELLY, Sniffles, SVIM).
TOLD_BY = r"(?:^|;)(?:SU|PE|SR|RE|SUPPORT)=0*[1-9]"
#: FILTER values of a record that its caller believes.
PASSING_FILTERS = ("PASS", ".")

#: Types of events; a single breakend is of none of the five.
INS, DEL, DUP, TRA, INV, SINGLE = "INS", "DEL", "DUP", "TRA", "INV", "SGL"
#: Reasons that mean that a record could not be read.
FAILED = ("unreadable_allele", "unreadable_place")

_BREAKEND = r"^([^\[\]<>,]*)([\[\]])(?:<?)([^\[\]]+?)(?:>?):(\d+)[\[\]]([^\[\]<>,]*)$"
_SINGLE = r"^(?:\.[ACGTUNacgtun]+|[ACGTUNacgtun]+\.)$"
_BASES = r"^[ACGTURYKMSWBDHVNacgturykmswbdhvn]+$"
_NO_ALTERNATE = (".", "*", "<*>", "<NON_REF>", "<X>")
_SIDES = {"3to5": "+-", "5to3": "-+", "3to3": "++", "5to5": "--"}
_BY_SIDES = {"+-": DEL, "-+": DUP, "++": INV, "--": INV}


def with_structure(records: pl.DataFrame) -> pl.DataFrame:
    """Alleles of the records with what they say.

    Parameters
    ----------
    records
        Rows of :func:`assets.genomics.vcf.events.read_events` with :data:`INFO_KEYS` and
        :data:`FORMAT_KEYS`.

    Returns
    -------
    One row per allele: ``record``, ``line``, ``id``, ``mate`` (id of the other breakend, null
    without one), ``is_breakend``, ``type``, ``chrom1``, ``pos1``, ``chrom2``, ``pos2``, ``sides``
    (null where the caller does not tell), ``length`` (bases deleted, inserted, ...; null between
    chromosomes), ``support`` (reads and pairs of the tumour, null where not given), ``reason``
    (null for an allele that is fit), ``is_believed`` (no filter of its caller). Places of one
    allele are as written: the first is POS.
    """
    alleles = _alleles(records)
    typed = alleles.with_columns(_places()).with_columns(chrom2=chromosome_names_of("other"))
    typed = typed.with_columns(_sides()).with_columns(_type())
    measured = typed.with_columns(_length(), support=_support())
    return measured.with_columns(_reason()).select(
        "record",
        "line",
        "id",
        mate=pl.coalesce("MATEID", "PARID").str.split(",").list.first().replace("", None),
        is_breakend=pl.col("remote").is_not_null(),
        type="type",
        chrom1="chrom",
        pos1="pos",
        chrom2="chrom2",
        pos2="pos2",
        sides="sides",
        length="length",
        support="support",
        reason="reason",
        is_believed=pl.col("filter").is_in(PASSING_FILTERS),
    )


def chromosome_names_of(column: str) -> pl.Expr:
    """Names of chromosomes in a column, as :func:`oncoframe.reference.builds.chromosome_names`."""
    return pl.col(column).map_batches(chromosome_names, return_dtype=pl.String)


def _alleles(records: pl.DataFrame) -> pl.DataFrame:
    """One row per alternate allele, with its own SVLEN and with the parts of a breakend."""
    numbered = records.with_row_index("record")
    several = pl.col("alt").str.contains(",", literal=True)
    exploded = numbered.with_columns(
        pl.when(several).then(pl.col("alt").str.split(",")).otherwise(pl.concat_list("alt"))
    ).with_columns(allele=pl.int_ranges(0, pl.col("alt").list.len()))
    exploded = exploded.explode("alt", "allele").with_columns(
        pl.when(several & pl.col("alt").is_not_null())
        .then(pl.col("alt").str.len_bytes().cast(pl.Int64))
        .otherwise("alt_length")
        .alias("alt_length")
    )
    lengths = pl.col("SVLEN").str.split(",")
    own = pl.coalesce(
        lengths.list.get(pl.col("allele"), null_on_oob=True),
        lengths.list.get(0, null_on_oob=True),
    )
    parts = pl.col("alt").str.extract_groups(_BREAKEND).struct.rename_fields(
        ["before", "bracket", "remote", "remote_pos", "after"]
    )  # fmt: skip
    svlen = own.cast(pl.Int64, strict=False)
    return exploded.with_columns(svlen=svlen, parts=parts).unnest("parts")


def _places() -> list[pl.Expr]:
    whole = {key: pl.col(key).cast(pl.Int64, strict=False) for key in ("END", "POS2")}
    by_length = pl.col("pos") + pl.col("svlen").abs()
    # An END before POS is an error of the caller; what SVLEN says may still be right.
    end = pl.when(whole["END"] >= pl.col("pos")).then(whole["END"])
    elsewhere = pl.col("CHR2").is_not_null() & (pl.col("CHR2") != "")
    by_sequence = pl.when(pl.col("alt").str.contains(_BASES)).then(
        pl.col("pos") + pl.col("ref_length") - 1
    )
    return [
        pl.when(pl.col("remote").is_not_null()).then("remote")
        .when(elsewhere).then("CHR2").otherwise("chrom").alias("other"),
        pl.when(pl.col("remote").is_not_null())
        .then(pl.col("remote_pos").cast(pl.Int64, strict=False))
        .when(elsewhere & pl.col("SVTYPE").is_in(["TRA", "CTX", "BND"]))
        .then(pl.coalesce(whole["POS2"], whole["END"]))
        .otherwise(pl.coalesce(end, by_length, by_sequence)).alias("pos2"),
    ]  # fmt: skip


def _sides() -> pl.Expr:
    local = pl.when(pl.col("before") != "").then(pl.lit("+")).otherwise(pl.lit("-"))
    remote = pl.when(pl.col("bracket") == "]").then(pl.lit("+")).otherwise(pl.lit("-"))
    both = pl.col("STRANDS").str.contains("++", literal=True) & pl.col("STRANDS").str.contains(
        "--", literal=True
    )
    strands = pl.when(~both).then(pl.col("STRANDS").str.extract(r"^([+-]{2})"))
    return pl.coalesce(
        pl.when(pl.col("remote").is_not_null()).then(pl.concat_str(local, remote)),
        pl.col("CT").replace_strict(_SIDES, default=None, return_dtype=pl.String),
        strands,
        pl.when(pl.col("INV3").is_not_null() & pl.col("INV5").is_null()).then(pl.lit("++")),
        pl.when(pl.col("INV5").is_not_null() & pl.col("INV3").is_null()).then(pl.lit("--")),
    ).alias("sides")


def _type() -> pl.Expr:
    """Type by SVTYPE or the symbolic allele; of a breakend by its places and sides."""
    symbol = pl.col("alt").str.extract(r"^<([^<>]+)>$")
    declared = pl.when(~pl.col("SVTYPE").is_in(["BND", "TRA", "CTX", "ITX", ""])).then("SVTYPE")
    written = pl.coalesce(
        declared, pl.when(~symbol.is_in(["BND", "TRA", "CTX", "ITX"])).then(symbol)
    )
    written = written.str.to_uppercase()
    named = (
        pl.when(written.str.contains(r"^(?:DEL|RPL)")).then(pl.lit(DEL))
        .when(written.str.contains(r"^(?:DUP|TDUP|IDUP|INVDUP)")).then(pl.lit(DUP))
        .when(written.str.contains(r"^INS")).then(pl.lit(INS))
        .when(written.str.contains(r"^INV")).then(pl.lit(INV))
    )  # fmt: skip
    # A place that is joined with itself is there twice.
    is_loop = (pl.col("chrom") == pl.col("chrom2")) & (pl.col("pos") == pl.col("pos2"))
    forward = (pl.col("pos") <= pl.col("pos2")) & ~(is_loop & (pl.col("sides") == "+-"))
    turned = pl.concat_str(pl.col("sides").str.slice(1, 1), pl.col("sides").str.head(1))
    ordered = pl.when(forward).then("sides").otherwise(turned)
    place = pl.col("remote").str.len_bytes() + pl.col("remote_pos").str.len_bytes()
    # Two brackets and a colon; the base of the reference is no inserted one.
    inserted = pl.col("alt_length") - place.cast(pl.Int64) - 4
    span = (pl.col("pos2") - pl.col("pos")).abs()
    joined = (
        pl.when(pl.col("chrom") != pl.col("chrom2")).then(pl.lit(TRA))
        # More bases in the join than between its places: an insertion with a small deletion.
        .when(((ordered == "+-") | (is_loop & (ordered == "-+"))) & (inserted > span))
        .then(pl.lit(INS))
        .otherwise(ordered.replace_strict(_BY_SIDES, default=None, return_dtype=pl.String))
    )  # fmt: skip
    is_junction = pl.col("remote").is_not_null() | (
        pl.col("SVTYPE").is_in(["BND", "TRA", "CTX", "ITX"]) & pl.col("pos2").is_not_null()
    )
    growth = pl.col("alt_length") - pl.col("ref_length")
    by_sequence = (
        pl.when(growth >= MIN_EVENT_BP).then(pl.lit(INS))
        .when(growth <= -MIN_EVENT_BP).then(pl.lit(DEL))
    )  # fmt: skip
    return (
        pl.when(pl.col("alt").str.contains(_SINGLE)).then(pl.lit(SINGLE))
        .when(named.is_not_null()).then(named)
        .when(is_junction).then(joined)
        .when(pl.col("alt").str.contains(_BASES) & pl.col("SVTYPE").is_null()).then(by_sequence)
        .alias("type")
    )  # fmt: skip


def _length() -> list[pl.Expr]:
    span = (pl.col("pos2") - pl.col("pos")).abs()
    growth = (pl.col("alt_length") - pl.col("ref_length")).abs()
    is_sequence = pl.col("alt").str.contains(_BASES)
    inserted = pl.coalesce(
        pl.when(is_sequence).then(growth),
        pl.col("svlen").abs(),
        pl.col("SVINSLEN").cast(pl.Int64, strict=False),
    )
    return [
        pl.when(pl.col("type") == INS).then(inserted)
        .when(pl.col("type").is_in([DEL, DUP, INV])).then(span).alias("length"),
        # An insertion has one place, however its caller writes the end.
        pl.when(pl.col("type").is_in([INS, SINGLE]) & pl.col("remote").is_null())
        .then("pos").otherwise("pos2").alias("pos2"),
    ]  # fmt: skip


def _support() -> pl.Expr:
    """Alternate reads and pairs of the tumour: Manta, DELLY, LUMPY, GRIDSS, others."""

    def second(key: str) -> pl.Expr:
        values = pl.col(f"FORMAT/{key}").str.split(",")
        return values.list.get(1, null_on_oob=True).cast(pl.Float64, strict=False)

    def only(key: str) -> pl.Expr:
        return pl.col(f"FORMAT/{key}").cast(pl.Float64, strict=False)

    def total(*parts: pl.Expr) -> pl.Expr:
        known = pl.any_horizontal(part.is_not_null() for part in parts)
        return pl.when(known).then(pl.sum_horizontal(parts))

    counted = pl.coalesce(
        total(second("PR"), second("SR")), total(only("DV"), only("RV")), only("SU"), only("VF"),
        second("AD"),
    )  # fmt: skip
    return pl.when(counted.is_finite() & (counted >= 0)).then(counted)


def _reason() -> pl.Expr:
    """First rule that leaves an allele out, before mates and duplicates are looked at."""
    alt, kind = pl.col("alt"), pl.col("type")
    is_readable = (
        alt.str.contains(r"^<[^<>]+>$") | alt.str.contains(_BASES) | alt.str.contains(_SINGLE)
        | pl.col("remote").is_not_null()
    )  # fmt: skip
    by_depth = (
        pl.col("FOLD_CHANGE").is_not_null()
        | (pl.col("SVCLAIM") == "D")
        | (pl.col("SVTYPE") == "CNV").fill_null(value=False)
        | alt.str.contains(r"^<CNV").fill_null(value=False)
    )
    is_small = alt.str.contains(_BASES) & pl.col("SVTYPE").is_null()
    on_chromosomes = is_chromosome("chrom") & is_chromosome("chrom2")
    # Without its other end nothing tells what a join is.
    has_no_other_end = pl.col("pos2").is_null() & pl.col("SVTYPE").is_in(
        ["BND", "TRA", "CTX", "ITX"]
    ).fill_null(value=False)
    genotype = pl.col("FORMAT/GT")
    calls_reference = genotype.str.contains("0") & ~genotype.str.contains("[1-9]")
    is_reference = calls_reference.fill_null(value=False) & pl.col("support").is_null()
    return (
        pl.when(alt.is_in(_NO_ALTERNATE)).then(pl.lit("no_alternate_allele"))
        .when(~is_readable).then(pl.lit("unreadable_allele"))
        .when(by_depth.fill_null(value=False)).then(pl.lit("copy_number_call"))
        .when(kind.is_null() & is_small).then(pl.lit("small_variant"))
        .when(kind.is_null() & ~has_no_other_end).then(pl.lit("unknown_type"))
        .when(~on_chromosomes).then(pl.lit("other_contig"))
        .when(~pl.col("filter").is_in(PASSING_FILTERS)).then(pl.lit("filter_not_pass"))
        .when(pl.col("pos2").is_null()).then(pl.lit("unreadable_place"))
        .when(pl.col("is_no_call")).then(pl.lit("no_call"))
        .when((pl.col("support") == 0) | is_reference).then(pl.lit("not_in_tumour"))
        .alias("reason")
    )  # fmt: skip
