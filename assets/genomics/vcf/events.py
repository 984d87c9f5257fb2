"""Records of a VCF of structural variants or copy numbers, with the keys that a reader asks for.

    path -> header, tumour sample -> one row per record: place, alleles, INFO keys, FORMAT values

Such files are small (tens of thousands of records) but loose, so this reader takes what the one of
small variants refuses: a file without samples, a record without them in a file that has some
(Manta's candidates), and columns after those of the header (novoBreak appends its own). What is
asked for is kept as text, what is not is dropped block by block, so that the annotation of a record
takes no memory.

References
----------
The Variant Call Format specification, versions 4.1 to 4.4 (samtools/hts-specs), section 5.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from assets.genomics.contigs import told_build
from assets.genomics.vcf.header import FIXED_COLUMNS, VcfHeader
from assets.genomics.vcf.records import MAX_POSITION, check_build, info_value, read_vcf
from assets.genomics.vcf.tumour import tumour_sample
from oncoframe.errors import BadInput, ImpossibleValue, WrongFormat
from oncoframe.reference.builds import chromosome_names, normalise_build
from oncoframe.textfiles import column_counts, unterminated, wrong_columns

#: More events than a genome can show; a file with more is of another kind.
MAX_RECORDS = 500_000
#: Characters of an allele that are kept, after runs of bases are cut to :data:`MAX_BASES`: what
#: counts is its length, and the place that a breakend names behind an inserted sequence.
MAX_ALLELE_TEXT, MAX_BASES = 1_000, 40
#: Columns of a record without samples.
SITE_COLUMNS = 8
#: Columns that a caller may append to those of the header.
MAX_EXTRA_COLUMNS = 200

_TEXTS = {0: "chrom", 1: "pos", 2: "id", 3: "ref", 4: "alt", 5: "qual", 6: "filter", 7: "info"}
_FORMAT, _FIRST_SAMPLE = 8, 9


@dataclass(frozen=True)
class Events:
    """Records of a VCF.

    Parameters
    ----------
    header
        Meta lines and samples.
    build
        Genome build: as the samplesheet says, else as the header or the contigs do; None if none.
    sample
        The tumour; None in a file without samples.
    rows
        ``line``, ``chrom`` (without ``chr``), ``pos``, ``id``, ``ref`` and ``alt`` (shortened,
        see :data:`MAX_ALLELE_TEXT`), ``ref_length`` and ``alt_length``, ``filter``, a column
        per INFO key (null without it, empty for a flag), ``FORMAT/<key>`` of the tumour, and
        ``is_no_call`` (a genotype that calls nothing, and no other value of the tumour; see
        :func:`read_events`).
    """

    header: VcfHeader
    build: str | None
    sample: str | None
    rows: pl.DataFrame


def read_events(
    path: Path,
    *,
    reference_build: str | None,
    info: Sequence[str],
    formats: Sequence[str],
    told_by: str,
    sample: str | None = None,
) -> Events:
    """Records of a VCF with some of their keys.

    A genotype without an allele (``./.``) and without another value is no call: nothing is said of
    the sample. It is none where the record speaks of the sample elsewhere, as that of a caller does
    that does not genotype: in INFO, or by counts in columns that it appends (novoBreak). Beside
    other samples, or behind a merge, these may be of another patient, and do not count.

    Parameters
    ----------
    path
        VCF 4.x, plain or (block-)gzipped, or BCF.
    reference_build
        Build that the samplesheet names.
    info, formats
        Keys to keep.
    told_by
        Pattern of an INFO that tells of the sample of the file.
    sample
        The tumour, where the file does not tell.

    Raises
    ------
    EmptyFile, TruncatedFile, FileMissing, Unavailable
        As :func:`assets.genomics.vcf.bcf.vcf_blocks`; TruncatedFile also if the last line is cut.
    WrongFormat
        If it is no VCF, a line has too few columns, there are more than :data:`MAX_RECORDS`, or
        the contigs are of another build than the samplesheet says.
    MissingSample, AmbiguousSample
        See :func:`assets.genomics.vcf.tumour.tumour_sample`.
    ImpossibleValue
        If a position is negative, too large or not a whole number.
    """
    header, body = read_vcf(path, needs_sample=False)
    check_build(path, header, reference_build)
    build = normalise_build(reference_build) or header.build()
    tumour = tumour_sample(header, path, sample) if header.samples else None
    told_by = told_by if _is_alone(header) else ""
    records, kept = 0, []
    for frame in _frames(path, header, body, tumour):
        build = told_build(path, frame["chrom"].unique(), build)
        kept.append(_asked(frame, info, formats, told_by))
        records += len(frame)
        if records > MAX_RECORDS:
            raise WrongFormat(
                "the file has more records than a genome has events",
                where=str(path),
                expected=f"at most {MAX_RECORDS}",
            )
    empty = pl.DataFrame(schema={name: pl.String() for name in _frame_columns(sample=True)})
    nothing = empty.with_columns(
        pl.col("pos").cast(pl.Int64), line=pl.lit(0, pl.Int64), is_counted=pl.lit(value=False)
    )
    rows = pl.concat([_asked(nothing, info, formats, told_by), *kept])
    return Events(header, build, header.samples[tumour] if tumour is not None else None, rows)


def _frames(
    path: Path, header: VcfHeader, body: Iterator[tuple[int, bytes]], sample: int | None
) -> Iterator[pl.DataFrame]:
    expected = len(FIXED_COLUMNS) + len(header.samples) if header.samples else SITE_COLUMNS
    names = _frame_columns(sample=sample is not None)
    places = [*_TEXTS, _FORMAT, _FIRST_SAMPLE + sample] if sample is not None else list(_TEXTS)
    for first_line, block in body:
        counts, blank = column_counts(block)
        _refuse_short(path, block, counts, blank, first_line, expected)
        lines = np.flatnonzero(~blank) + first_line
        if not len(lines):
            continue
        text = re.sub(rb"\n{2,}", b"\n", block.lstrip(b"\n")) if blank.any() else block
        # As wide as the widest line, and as the header, for lines that end early.
        width = max(expected, int(counts.max()))
        frame = pl.read_csv(
            text,
            separator="\t",
            has_header=False,
            quote_char=None,
            infer_schema=False,
            schema={f"c{number}": pl.String() for number in range(width)},
            truncate_ragged_lines=True,
            missing_columns="insert",
            encoding="utf8" if text.isascii() else "utf8-lossy",
            glob=False,
        )
        appended = pl.col(f"c{number}" for number in range(expected, width))
        is_counted = pl.any_horizontal(False, appended.str.contains("^0*[1-9][0-9]*$"))
        frame = frame.select(
            *(pl.col(f"c{at}").alias(name) for at, name in zip(places, names, strict=True)),
            pl.Series("line", lines, dtype=pl.Int64),
            is_counted=is_counted.fill_null(value=False),
        )
        if sample is None:
            frame = frame.with_columns(pl.lit(None, pl.String).alias(n) for n in ("format", "own"))
        yield _with_places(path, frame)


def _frame_columns(*, sample: bool) -> list[str]:
    return [*_TEXTS.values(), *(("format", "own") if sample else ())]


def _refuse_short(
    path: Path, block: bytes, counts: np.ndarray, blank: np.ndarray, first_line: int, expected: int
) -> None:
    """Refuse lines with fewer columns than the header, unless they have no samples at all."""
    cut = unterminated(block)
    enough = (counts >= expected) & (counts <= expected + MAX_EXTRA_COLUMNS)
    fits = enough | (counts == SITE_COLUMNS) | blank
    if cut and not blank[-1]:
        # A cut may fall behind the eighth column.
        fits[-1] = counts[-1] >= expected
    wrong = np.flatnonzero(~fits)
    if len(wrong):
        at = int(wrong[0])
        last = at == len(counts) - 1
        raise wrong_columns(path, first_line + at, expected, int(counts[at]), cut=last and cut)


def _with_places(path: Path, frame: pl.DataFrame) -> pl.DataFrame:
    needed = pl.col("chrom", "pos", "ref", "alt")
    empty = frame.filter(pl.any_horizontal(needed.is_null()))
    if len(empty):
        raise WrongFormat(
            "a column is empty", where=f"{path}, line {empty['line'][0]}", expected="a value or '.'"
        )
    if len(header := frame.filter(pl.col("chrom").str.starts_with("#"))):
        raise WrongFormat(
            "a header line stands among the records", where=f"{path}, line {header['line'][0]}"
        )
    position = frame["pos"].cast(pl.Int64, strict=False)
    bad = frame.filter(position.is_null() | ~position.is_between(0, MAX_POSITION))
    if len(bad):
        is_number = bad["pos"].head(1).cast(pl.Float64, strict=False).is_not_null()[0]
        kind: type[BadInput] = ImpossibleValue if is_number else WrongFormat
        raise kind(
            "the position is not one of a chromosome",
            where=f"{path}, line {bad['line'][0]}",
            expected=f"a whole number up to {MAX_POSITION}",
        )
    loose = pl.col("id", "qual", "filter", "info").fill_null(".")
    return frame.with_columns(loose, position.alias("pos"))


def _is_alone(header: VcfHeader) -> bool:
    """Whether what the records say can only be of one sample."""
    is_merged = any(line.startswith("##bcftools_merge") for line in header.meta)
    return len(header.samples) == 1 and not is_merged


def _asked(
    frame: pl.DataFrame, info: Sequence[str], formats: Sequence[str], told_by: str
) -> pl.DataFrame:
    # Most keys are in no record, and one look for their name is soon done.
    has = frame.select(pl.col("info").str.contains(k, literal=True).any().alias(k) for k in info)
    return frame.select(
        "line",
        chromosome_names(frame["chrom"]).alias("chrom"),
        "pos",
        "id",
        *(_shortened(name) for name in ("ref", "alt")),
        *(pl.col(name).str.len_bytes().cast(pl.Int64).alias(f"{name}_length")
          for name in ("ref", "alt")),
        "filter",
        *((_info(key) if has[key].item() else pl.lit(None, pl.String)).alias(key) for key in info),
        *_sample_values(frame, formats),
        is_no_call=_is_no_call(frame, told_by),
    )  # fmt: skip


def _is_no_call(frame: pl.DataFrame, told_by: str) -> pl.Expr:
    layouts = frame["format"].unique().drop_nulls()
    if not any(text.partition(":")[0] == "GT" for text in layouts):
        return pl.lit(value=False)
    has_genotype = (pl.col("format") == "GT") | pl.col("format").str.starts_with("GT:")
    is_blank = has_genotype & (pl.col("own").str.strip_chars(".:/|,") == "")
    if told_by:
        is_blank &= ~(pl.col("is_counted") | pl.col("info").str.contains(told_by))
    return is_blank.fill_null(value=False)


def _shortened(allele: str) -> pl.Expr:
    text = pl.col(allele)
    bases = rf"([ACGTNacgtn]{{{MAX_BASES}}})[ACGTNacgtn]+"
    short = pl.when(text.str.len_bytes() > MAX_BASES).then(text.str.replace_all(bases, "$1"))
    return short.otherwise(text).str.slice(0, MAX_ALLELE_TEXT).alias(allele)


def _info(key: str) -> pl.Expr:
    flag = pl.col("info").str.contains(rf"(?:^|;){key}(?:;|$)")
    return pl.coalesce(info_value(key), pl.when(flag).then(pl.lit("")))


def _sample_values(frame: pl.DataFrame, keys: Sequence[str]) -> list[pl.Series]:
    """Text of each FORMAT key of the tumour, null where it is absent or ``.``."""
    layouts = {text: text.split(":") for text in frame["format"].unique().drop_nulls()}
    values = frame["own"].str.split(":")
    found = []
    for key in keys:
        index = {text: names.index(key) for text, names in layouts.items() if key in names}
        if not index:
            empty = pl.Series([None], dtype=pl.String).new_from_index(0, len(frame))
            found.append(empty.alias(f"FORMAT/{key}"))
            continue
        place = frame["format"].replace_strict(index, default=None, return_dtype=pl.Int32)
        text = values.list.get(place, null_on_oob=True)
        found.append(text.set(text == ".", None).alias(f"FORMAT/{key}"))
    return found
