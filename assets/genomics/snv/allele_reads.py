"""Read depth and variant allele fraction (VAF) of one sample, whatever the caller calls them.

    FORMAT + sample -> read counts per allele -> depth, vaf

Counts before fractions, because a count means the same in every caller while a reported fraction
may be a posterior estimate (Mutect2 AF). The layouts understood, first that is present:

====================  ================================  ==========================
caller                FORMAT                            alternate / all reads
====================  ================================  ==========================
GATK, DRAGEN, VarDict AD (one value per allele)         AD[allele] / sum of AD
VarScan               AD (alternate only) and RD or DP  AD / AD + RD, or AD / DP
FreeBayes             RO, AO                            AO / AO + RO
Strelka SNV           AU, CU, GU, TU (tier 1)           alternate / alternate + ref
Strelka indel         TAR, TIR (tier 1)                 TIR / TIR + TAR
Platypus              NR, NV                            NV / NR
SomaticSniper         DP4                               last two / all four
====================  ================================  ==========================

Then the fractions AF, VAF, FA, FREQ (percent), VF. Depth is DP, else all reads as above.

References
----------
Strelka user guide, "Extracting somatic allele frequency"; VarScan and GATK documentation.
"""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from oncoframe.errors import ImpossibleValue

#: No position of any assay is read more often; a larger number is not a depth.
MAX_READS = 1e9
#: Values of DP4, the longest list that does not grow with the alleles.
_STRAND_VALUES = 4
#: Keys of FORMAT above which a sample is not taken apart; merges of ten callers have eighty.
MAX_KEYS = 256

_COUNTS = ("AD", "DP", "RD", "RO", "AO", "AU", "CU", "GU", "TU", "TAR", "TIR", "NR", "NV", "DP4")
_FRACTIONS = ("AF", "VAF", "FA", "FREQ", "VF")
_READS = frozenset({*_COUNTS, *_FRACTIONS})
#: A genotype of any ploidy, phased or not, maybe with the leading mark of VCF 4.4.
_GENOTYPE = r"^[/|]?(?:\d{1,9}|\.)(?:[/|](?:\d{1,9}|\.))*$"
_ALLELE = pl.col("allele").cast(pl.Int64)
_NOTHING = pl.lit(None, pl.Float64)


def with_allele_reads(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Add depth and VAF of each allele.

    Parameters
    ----------
    frame
        One row per allele: ``line``, ``ref``, ``alt`` (upper case), ``allele`` (1-based),
        ``alleles`` (number of alternates of its record), ``format``, ``sample``.
    path
        For messages.

    Returns
    -------
    ``frame`` with ``depth`` (reads, Float64, null if the file does not say), ``vaf`` (0 to 1, null
    likewise), ``in_genotype`` (whether GT names the allele; null without a called GT, and where
    the VAF answers it), ``is_no_call`` (nothing is said of the sample: GT calls no allele, or all
    its values are missing, and no VAF is known) and ``readable`` (False where a value is not a
    number, GT no genotype of the record, a key has more values than the record has alleles, or the
    sample more than FORMAT or :data:`MAX_KEYS`).

    Raises
    ------
    ImpossibleValue
        If a count is negative, over :data:`MAX_READS` or not finite, or a fraction is not within
        0 to 1.
    """
    layouts = {text: text.split(":", MAX_KEYS)[:MAX_KEYS] for text in frame["format"].unique()}
    sizes = {text: text.count(":") + 1 for text in layouts}
    most = _per_format(frame, sizes)
    # Counted before it is split: a long sample beside many alternates would be split for each.
    size = frame["sample"].str.count_matches(":", literal=True) + 1
    readable = (size <= most) & (size <= MAX_KEYS)
    values = frame["sample"].set(~readable, None).str.split(":")
    parsed = {}
    for key in (*_COUNTS, *_FRACTIONS):
        texts = _texts(frame, values, layouts, key)
        if texts is None:
            continue
        lists, is_number = _numbers(texts, frame["alleles"])
        upper = 1.0 if key in _FRACTIONS else MAX_READS
        if key == "FREQ":
            lists = lists.list.eval(pl.element() / 100)
        _refuse_impossible(lists, upper, key, frame["line"], path)
        parsed[key] = lists.alias(key)
        readable &= is_number
    genotype = _texts(frame, values, layouts, "GT")
    if genotype is not None:
        readable &= _is_genotype(genotype, frame["alleles"])
    work = frame.select("ref", "alt", "allele", "alleles").with_columns(
        *parsed.values(),
        (pl.Series([None], dtype=pl.String).new_from_index(0, len(frame))
         if genotype is None else genotype).alias("GT"),
    )  # fmt: skip
    reads = work.with_columns(**_depth_and_fraction(parsed)).select(
        "depth", "vaf", in_genotype=_in_genotype()
    )
    _refuse_impossible_fraction(reads["vaf"], frame["line"], path)
    unsaid = _is_no_call(frame, layouts, reads)
    return frame.with_columns(*reads.get_columns(), unsaid, readable.alias("readable"))


def _per_format(frame: pl.DataFrame, number: dict[str, int]) -> pl.Series:
    """Give each row the number that belongs to its FORMAT; -1 is returned as null."""
    if len(number) <= 1:  # the common case; an empty mapping would have no type
        value = next(iter(number.values()), -1)
        column = pl.Series([value], dtype=pl.Int32).new_from_index(0, len(frame))
    else:
        column = frame["format"].replace_strict(number, return_dtype=pl.Int32)
    return column.set(column < 0, None)


def _texts(
    frame: pl.DataFrame, values: pl.Series, layouts: dict[str, list[str]], key: str
) -> pl.Series | None:
    """Values of one FORMAT key as written, null where absent or ``.``; None if no row has it."""
    index = {text: keys.index(key) if key in keys else -1 for text, keys in layouts.items()}
    if max(index.values(), default=-1) < 0:
        return None
    texts = values.list.get(_per_format(frame, index), null_on_oob=True)
    return texts.set(texts == ".", None)


def _numbers(texts: pl.Series, alternates: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Numbers of comma-separated values (null for ``.``), and whether all of them are numbers.

    A key with more values than any meaning of it has is null and no number: it is never taken
    apart, so that a line of millions of values costs no more than its text.
    """
    most = alternates.clip(_STRAND_VALUES - 1) + 1
    is_long = texts.str.count_matches(",", literal=True) >= most
    if is_long.any():
        texts = texts.set(is_long, None)
    if texts.str.contains("%", literal=True).any():
        texts = texts.str.replace_all("%", "", literal=True)
    written = texts.str.split(",")
    lists = written.cast(pl.List(pl.Float64), strict=False)
    is_number = _known(lists) + written.list.count_matches(".") == written.list.len()
    return lists, is_number.fill_null(value=True) & ~is_long.fill_null(value=False)


def _known(lists: pl.Series) -> pl.Series:
    """Number of values that are not null."""
    missing = lists.list.eval(pl.element().is_null().cast(pl.UInt32)).list.sum()
    return lists.list.len() - missing


def _depth_and_fraction(parsed: dict[str, pl.Series]) -> dict[str, pl.Expr]:
    def value(key: str, index: int | pl.Expr = 0) -> pl.Expr:
        return pl.col(key).list.get(index, null_on_oob=True) if key in parsed else _NOTHING

    layouts: list[tuple[pl.Expr, pl.Expr]] = []
    if "AD" in parsed:
        layouts += _from_allele_depths(value)
    layouts.append((value("AO", _ALLELE - 1), value("RO") + _list_sum("AO", parsed)))
    if {"AU", "CU", "GU", "TU"} <= parsed.keys():
        alternate, reference = (
            pl.coalesce([pl.when(pl.col(side) == b).then(value(f"{b}U")) for b in "ACGT"])
            for side in ("alt", "ref")
        )
        layouts.append((alternate, alternate + reference))
    layouts.append((value("TIR"), value("TIR") + value("TAR")))
    layouts.append((value("NV", _ALLELE - 1), value("NR", _ALLELE - 1)))
    strands = [value("DP4", i) for i in range(4)]
    layouts.append((strands[2] + strands[3], strands[0] + strands[1] + strands[2] + strands[3]))

    alternate, everything = _NOTHING, _NOTHING
    for some, every in reversed(layouts):
        known = some.is_not_null() & every.is_not_null()
        alternate = pl.when(known).then(some).otherwise(alternate)
        everything = pl.when(known).then(every).otherwise(everything)
    by_count = pl.when(everything > 0).then(alternate / everything)
    fractions = [_fraction(key) for key in _FRACTIONS if key in parsed]
    return {
        "depth": pl.coalesce(value("DP"), everything),
        "vaf": pl.coalesce(by_count, *fractions, _NOTHING),
    }


def _from_allele_depths(value: Callable[..., pl.Expr]) -> list[tuple[pl.Expr, pl.Expr]]:
    """AD with the reference (one more value than alternates), and AD without it."""
    size = pl.col("AD").list.len()
    missing = pl.col("AD").list.eval(pl.element().is_null().cast(pl.UInt32)).list.sum()
    complete = missing == 0
    every = pl.when(complete & (size == pl.col("alleles") + 1)).then(pl.col("AD").list.sum())
    without = pl.when(complete & (size == pl.col("alleles")))
    return [
        (value("AD", _ALLELE), every),
        (
            without.then(value("AD", _ALLELE - 1)),
            pl.coalesce(value("RD") + pl.col("AD").list.sum(), value("DP")),
        ),
    ]


def _list_sum(key: str, parsed: dict[str, pl.Series]) -> pl.Expr:
    return pl.col(key).list.sum() if key in parsed else _NOTHING


def _fraction(key: str) -> pl.Expr:
    """Fraction of the allele from a list with or without the reference."""
    offset = (pl.col(key).list.len() == pl.col("alleles") + 1).cast(pl.Int64)
    return pl.col(key).list.get(_ALLELE - 1 + offset, null_on_oob=True)


def _in_genotype() -> pl.Expr:
    """Asked only where no fraction is known, which spares most files the search in each GT."""
    genotype = pl.when(pl.col("vaf").is_null()).then(pl.col("GT"))
    named = genotype.str.extract_all(r"\d+")
    return pl.when(named.list.len() > 0).then(named.list.contains(pl.col("allele").cast(pl.String)))


def _is_genotype(genotype: pl.Series, alternates: pl.Series) -> pl.Series:
    """Whether GT is one, of the alleles that the record has; true where it is missing."""
    written = genotype.unique().drop_nulls()
    malformed = written.filter(~written.str.contains(_GENOTYPE))
    indices = written.str.extract_all(r"\d{1,9}").cast(pl.List(pl.Int64)).list.max()
    is_good = pl.Series([True]).new_from_index(0, len(genotype))
    if len(malformed):
        is_good = genotype.is_null() | ~genotype.is_in(malformed.implode())
    if (indices > 1).any():
        named = genotype.replace_strict(written, indices, default=None, return_dtype=pl.Int64)
        is_good &= (named <= alternates).fill_null(value=True)
    return is_good


def _is_no_call(
    frame: pl.DataFrame, layouts: dict[str, list[str]], reads: pl.DataFrame
) -> pl.Series:
    """Whether nothing is said of the sample, as a merge fills in for those without the variant."""
    silent = reads["vaf"].is_null() & reads["in_genotype"].is_null()
    if not silent.any():
        return silent.alias("is_no_call")
    with_genotype = [text for text, keys in layouts.items() if "GT" in keys]
    with_reads = [text for text, keys in layouts.items() if not _READS.isdisjoint(keys)]
    texts = frame.select(
        (pl.col("format").is_in(with_genotype))
        | (pl.col("format").is_in(with_reads) & pl.col("sample").str.contains(r"^[.:/|,]*$"))
    ).to_series()
    return (silent & texts).alias("is_no_call")


def _refuse_impossible(
    lists: pl.Series, upper: float, key: str, lines: pl.Series, path: Path
) -> None:
    if lists.explode().is_between(0, upper).all():  # NaN is not between
        return
    flat = pl.DataFrame({"line": lines, "value": lists}).explode("value")
    line = flat.filter(~pl.col("value").is_between(0, upper))["line"][0]
    raise ImpossibleValue(
        f"{key} of the tumour sample cannot have been measured",
        where=f"{path}, line {line}",
        expected=f"a number from 0 to {upper:g}",
    )


def _refuse_impossible_fraction(vaf: pl.Series, lines: pl.Series, path: Path) -> None:
    bad = lines.filter((vaf > 1).fill_null(value=False))
    if len(bad):
        raise ImpossibleValue(
            "an allele has more reads than the position",
            where=f"{path}, line {bad[0]}",
            expected="a variant allele fraction from 0 to 1",
        )
