"""Tables of the BeatAML 2.0 download: read, checked, and brought to one row per thing.

    workbook   -> read_sheet      -> one row per specimen, text throughout
    matrix     -> read_expression -> genes x patients, log2
    call table -> read_calls      -> one row per caller's call -> variants -> one row per variant

MuTect and VarScan report most variants both. A variant takes its counts from the caller that saw
more reads (ties: alphabetical) and keeps those of each beside them.
"""

from collections.abc import Mapping
from pathlib import Path

import fastexcel
import polars as pl

from assets.importers.writers import CALL_SCHEMA, CONTIGS, CSQ_FIELDS
from oncoframe.errors import FileMissing, ImpossibleValue, WrongFormat

SHEET = "summary"

#: Column of the call table -> type.
_CALL_COLUMNS = {
    "dbgap_sample_id": pl.String(),
    "seqnames": pl.String(),
    "pos_start": pl.Int64(),
    "ref": pl.String(),
    "alt": pl.String(),
    "genotyper": pl.String(),
    "tumor_only": pl.Int64(),
    "total_reads": pl.Int64(),
    "allele_reads": pl.Int64(),
    "variant_classification": pl.String(),
    "gene": pl.String(),
    "symbol": pl.String(),
    "biotype": pl.String(),
    "hgvsc": pl.String(),
    "hgvsp": pl.String(),
    "existing_variation": pl.String(),
    "sift": pl.String(),
    "polyphen": pl.String(),
}
#: Field of the CSQ annotation -> column of the call table.
_CSQ_COLUMNS = {
    "Consequence": "variant_classification",
    "SYMBOL": "symbol",
    "Gene": "gene",
    "HGVSc": "hgvsc",
    "HGVSp": "hgvsp",
    "BIOTYPE": "biotype",
    "Existing_variation": "existing_variation",
    "SIFT": "sift",
    "PolyPhen": "polyphen",
}
#: Characters that end a value of INFO or CSQ -> their code (VCF 4.3, section 1.2).
_RESERVED = {"%": "%25", ";": "%3B", "=": "%3D", ",": "%2C", "|": "%7C", " ": "_"}


def only_file(source: Path, pattern: str, what: str) -> Path:
    """The one file of a folder that fits a pattern.

    Raises
    ------
    FileMissing
        If none or several do.
    """
    found = sorted(source.glob(pattern))
    if len(found) != 1:
        raise FileMissing(
            f"the {what} is not there" if not found else f"there is more than one {what}",
            where=str(source),
            expected=f"one file {pattern}",
            got=str(len(found)),
        )
    return found[0]


def read_sheet(workbook: Path, columns: list[str]) -> pl.DataFrame:
    """Specimens of the clinical workbook, one row each, as text.

    Raises
    ------
    WrongFormat
        If it is no workbook, has no sheet :data:`SHEET`, or lacks one of ``columns``.
    """
    try:
        sheet = pl.read_excel(
            workbook, sheet_name=SHEET, engine="calamine", read_options={"dtypes": "string"}
        )
    # Polars raises ValueError where there is no sheet of that name.
    except (fastexcel.FastExcelError, pl.exceptions.PolarsError, ValueError) as error:
        raise WrongFormat(
            f"no sheet {SHEET} can be read", where=workbook.name, expected="an Excel workbook"
        ) from error
    _require(sheet.columns, columns, workbook)
    return sheet.select(columns)


def read_expression(matrix: Path) -> pl.DataFrame:
    """Expression matrix: ``symbol``, then one column per patient, base-2 logarithm.

    Raises
    ------
    WrongFormat
        If the column ``symbol`` is missing or a value is no number.
    """
    text = _read_text(matrix)
    _require(text.columns, ["symbol"], matrix)
    types = {name: pl.Float64() for name in text.columns if name != "symbol"}
    return _typed(text, {"symbol": pl.String(), **types}, matrix)


def read_calls(table: Path) -> pl.DataFrame:
    """Somatic calls, one row per specimen, variant and caller.

    Raises
    ------
    WrongFormat
        If a column is missing or a count is no number.
    ImpossibleValue
        If a position lies outside GRCh37, an allele is no sequence, or reads cannot be.
    """
    text = _read_text(table)
    _require(text.columns, list(_CALL_COLUMNS), table)
    calls = _typed(text.select(list(_CALL_COLUMNS)), _CALL_COLUMNS, table)
    length = pl.col("seqnames").replace_strict(CONTIGS["GRCh37"], default=0)
    possible = (
        pl.col("pos_start").is_between(1, length)
        & pl.col("ref").str.contains("^[ACGTN]+$")
        & pl.col("alt").str.contains("^[ACGTN]+$")
        & (pl.col("ref") != pl.col("alt"))
        & pl.col("allele_reads").is_between(0, pl.col("total_reads"))
        & pl.col("dbgap_sample_id").is_not_null()
    )
    wrong = calls.with_row_index("row", offset=2).filter(~possible.fill_null(value=False))
    if len(wrong):
        raise ImpossibleValue(
            f"row {wrong['row'][0]} is no call on GRCh37",
            where=table.name,
            expected="a position on the genome, two alleles and 0 <= allele_reads <= total_reads",
            got=f"{len(wrong)} other rows",
        )
    return calls


def variants(calls: pl.DataFrame) -> pl.DataFrame:
    """Variants of each specimen, in genome order.

    Parameters
    ----------
    calls
        As :func:`read_calls` returns them.

    Returns
    -------
    ``dbgap_sample_id`` and the columns of
    :data:`assets.importers.writers.CALL_SCHEMA`, one row per specimen and variant.
    """
    key = ["dbgap_sample_id", "chrom", "pos", "ref", "alt"]
    most_reads = pl.all().sort_by("depth", "caller", descending=[True, False]).first()
    by_caller = {
        "callers": pl.col("caller").sort(),
        "caller_alt_reads": pl.col("alt_reads").sort_by("caller"),
        "caller_depths": pl.col("depth").sort_by("caller"),
    }
    return (
        calls.rename(
            {
                "seqnames": "chrom",
                "pos_start": "pos",
                "genotyper": "caller",
                "allele_reads": "alt_reads",
                "total_reads": "depth",
            }
        )
        .with_columns(is_tumor_only=pl.col("tumor_only") == 1, csq=_csq())
        .group_by(key)
        .agg(most_reads, **by_caller)
        .select("dbgap_sample_id", *CALL_SCHEMA)
        .cast(pl.Schema({"dbgap_sample_id": pl.String(), **CALL_SCHEMA}))
        .sort("dbgap_sample_id", _contig_order(), "pos", "ref", "alt")
    )


def _contig_order() -> pl.Expr:
    return pl.col("chrom").replace_strict(
        {contig: order for order, contig in enumerate(CONTIGS["GRCh37"])}
    )


def _csq() -> pl.Expr:
    # VEP leaves out the base that both alleles of an insertion or deletion start with.
    shares_start = pl.col("ref").str.slice(0, 1) == pl.col("alt").str.slice(0, 1)
    rest = pl.col("alt").str.slice(1)
    trimmed = pl.when(rest == "").then(pl.lit("-")).otherwise(rest)
    is_snv = pl.col("ref").str.len_chars() == pl.col("alt").str.len_chars()
    allele = pl.when(~is_snv & shares_start).then(trimmed).otherwise("alt")
    fields = {"Allele": allele, **{f: _escaped(c) for f, c in _CSQ_COLUMNS.items()}}
    return pl.concat_str([fields[name] for name in CSQ_FIELDS], separator="|")


def _escaped(column: str) -> pl.Expr:
    value = pl.col(column).fill_null("")
    for character, code in _RESERVED.items():
        value = value.str.replace_all(character, code, literal=True)
    return value


def _require(columns: list[str], required: list[str], file: Path) -> None:
    missing = [name for name in required if name not in columns]
    if missing:
        plural = "s are" if len(missing) > 1 else " is"
        raise WrongFormat(
            f"{len(missing)} column{plural} missing", where=file.name, expected=", ".join(missing)
        )


def _read_text(file: Path) -> pl.DataFrame:
    try:
        return pl.read_csv(file, separator="\t", infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise WrongFormat(
            "the file cannot be read", where=file.name, expected="a tab-separated table"
        ) from error


def _typed(text: pl.DataFrame, types: Mapping[str, pl.DataType], file: Path) -> pl.DataFrame:
    typed = text.cast(pl.Schema(types), strict=False)
    lost = [name for name in types if typed[name].null_count() != text[name].null_count()]
    if lost:
        raise WrongFormat(
            f"column {lost[0]} holds values that are no numbers",
            where=file.name,
            got=f"{len(lost)} such columns",
        )
    return typed
