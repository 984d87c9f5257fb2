"""The samplesheet: which file holds which assay of which patient.

    samplesheet.csv -> read_samplesheet -> one checked row per patient, modality and date

The sheet is refused as a whole, before anything runs, with one sentence that names row and column.
What a file contains is not looked at here.
"""

import csv
import hmac
import io
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import polars as pl

from oncoframe import files
from oncoframe.contracts import UTC_TIME, Modality, Status
from oncoframe.errors import FileMissing, SamplesheetError, Unavailable
from oncoframe.modalities import assays
from oncoframe.reference.builds import normalise_build

SAMPLESHEET = "samplesheet.csv"
COLUMNS = (
    "patient_id",
    "modality",
    "path",
    "collected_on",
    "status",
    "reference_build",
    "tool",
    "site",
)
#: Columns that a sheet may leave out.
OPTIONAL = ("sample", "pixel_size_um", "stain", "scanner")
#: Modalities whose files may hold several samples.
_OF_SAMPLES = (Modality.SNV, Modality.SV, Modality.CNV, Modality.EXPRESSION, Modality.FUSION)
#: Columns of pictures through a microscope, and the modality that has them.
OPTICS, _OF_OPTICS = ("pixel_size_um", "stain", "scanner"), Modality.SMEAR
#: A pseudonym becomes a partition key, a tag and a file name.
PATIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: Column that intake replaces by a pseudonym and never stores.
MRN_COLUMN = "mrn"
_KNOWN = (*COLUMNS, *OPTIONAL, MRN_COLUMN)
#: Hexadecimal digits of a derived pseudonym; 80 bits keep a million patients apart.
PSEUDONYM_DIGITS = 20
#: Looking an object up waits for the storage, not for the processor.
_LOOKERS = 8

_micrometres = pl.col("pixel_size_um").cast(pl.Float64(), strict=False)

SCHEMA = pl.Schema(
    {
        "patient_id": pl.String(),
        "modality": pl.String(),
        "path": pl.String(),
        "collected_on": UTC_TIME,
        "status": pl.String(),
        "reference_build": pl.String(),
        "tool": pl.String(),
        "site": pl.String(),
        "sample": pl.String(),
        "pixel_size_um": pl.Float64(),
        "stain": pl.String(),
        "scanner": pl.String(),
    }
)


def read_samplesheet(landing: str, *, mrn_key: bytes | None = None) -> pl.DataFrame:
    """Checked rows of the samplesheet of a landing zone, sorted by patient, modality and date.

    Parameters
    ----------
    landing
        Folder (local or ``s3://``) that holds ``samplesheet.csv``; relative paths in the sheet
        start there.
    mrn_key
        Secret of the keyed hash that turns an ``mrn`` column into pseudonyms.

    Returns
    -------
    Columns of :data:`SCHEMA`; ``path`` is absolute, or empty unless the assay was performed.

    Raises
    ------
    SamplesheetError
        If the sheet is missing, or names its first wrong row and column.
    """
    sheet = files.join(landing, SAMPLESHEET)
    rows = _with_pseudonyms(_parse(sheet), sheet, mrn_key)
    rows = rows.with_columns(
        pl.lit("").alias(name) for name in OPTIONAL if name not in rows.columns
    )
    _refuse(_problems(rows), sheet)
    rows = rows.with_columns(
        pl.col("collected_on").str.to_datetime(
            "%Y-%m-%d", time_zone="UTC", time_unit="us", strict=False
        ),
        path=_absolute_paths(rows, landing),
    )
    _refuse(_path_problems(rows), sheet)
    empty_to_null = pl.col("reference_build", "tool", "site", *OPTIONAL).replace("", None)
    builds = {name: normalise_build(name) for name in rows["reference_build"].unique() if name}
    return (
        rows.with_columns(pl.col("reference_build").replace(builds))
        .with_columns(empty_to_null)
        .select(*COLUMNS, *OPTIONAL)
        .cast(SCHEMA)
        .sort("patient_id", "modality", "collected_on")
    )


def write_samplesheet(landing: Path, rows: Sequence[dict[str, str]]) -> None:
    """Write the samplesheet, sorted by patient, modality and date.

    Parameters
    ----------
    landing
        Folder of the landing zone.
    rows
        One dictionary per patient, assay and file, with the samplesheet's columns as keys.
    """
    told = [name for name in OPTIONAL if any(row.get(name) for row in rows)]
    sheet = pl.DataFrame(rows, schema=dict.fromkeys((*COLUMNS, *told), pl.String()))
    sheet.sort("patient_id", "modality", "collected_on").write_csv(landing / SAMPLESHEET)


def _parse(sheet: str) -> pl.DataFrame:
    try:
        content = files.read_bytes(sheet)
    except FileMissing as error:
        raise SamplesheetError(
            "there is no samplesheet",
            where=sheet,
            hint="Write one row per patient, assay and file; see 'oncoframe import --help'.",
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise SamplesheetError(
            f"row {row} is not UTF-8 text", where=sheet, hint="Save the sheet as CSV UTF-8."
        ) from error
    if not text.strip():
        raise SamplesheetError("the samplesheet is empty", where=sheet)
    return _table(text, sheet)


def _table(text: str, sheet: str) -> pl.DataFrame:
    lines = csv.reader(io.StringIO(text), strict=True)
    header: list[str] = []
    records: list[tuple[int, list[str]]] = []
    try:
        for line in lines:
            values = [value.strip() for value in line]
            if not any(values):
                continue
            if not header:
                header = values
                _check_header(header, sheet)
            elif len(values) == len(header):
                records.append((lines.line_num, values))
            else:
                raise _uneven(lines.line_num, values, header, sheet)
    except csv.Error as error:
        raise SamplesheetError(
            f"row {lines.line_num} is not comma-separated text", where=sheet, got=str(error)
        ) from error
    if not records:
        raise SamplesheetError("the samplesheet has a header but no rows", where=sheet)
    columns = {name: header.index(name) for name in _KNOWN if name in header}
    return pl.DataFrame(
        [(row, *(values[place] for place in columns.values())) for row, values in records],
        schema={"row": pl.Int64(), **dict.fromkeys(columns, pl.String())},
        orient="row",
    )


def _check_header(header: list[str], sheet: str) -> None:
    required = [name for name in COLUMNS if name != "patient_id" or MRN_COLUMN not in header]
    missing = [name for name in required if name not in header]
    twice = [name for name in _KNOWN if header.count(name) > 1]
    if missing or twice:
        raise SamplesheetError(
            f"row 1: column {missing[0]} is missing"
            if missing
            else f"row 1: column {twice[0]} is there twice",
            where=sheet,
            expected=",".join(COLUMNS),
            got=",".join(header),
        )


def _uneven(row: int, values: list[str], header: list[str], sheet: str) -> SamplesheetError:
    extra = len(values) - len(header)
    modality = header.index("modality")
    # The modality found further right than its column: the comma stands in the patient_id.
    words = _modality_words()
    shifted = extra > 0 and values[modality] not in words
    shifted = shifted and values[modality + extra] in words
    column = "column patient_id holds a comma" if shifted else "a value that holds a comma?"
    return SamplesheetError(
        f"row {row}: {column if extra > 0 else 'columns are missing'}",
        where=sheet,
        expected=f"{len(header)} values as in the header",
        got=str(len(values)),
    )


def _with_pseudonyms(rows: pl.DataFrame, sheet: str, key: bytes | None) -> pl.DataFrame:
    if MRN_COLUMN not in rows.columns:
        return rows
    if not key:
        raise SamplesheetError(
            f"row 1: column {MRN_COLUMN} holds record numbers, but there is no key to hide them",
            where=sheet,
            hint="Set ONCOFRAME_MRN_KEY to a secret of the institution.",
        )
    blank = rows.filter(pl.col(MRN_COLUMN) == "")
    if not blank.is_empty():
        raise SamplesheetError(
            f"row {blank['row'][0]}: column {MRN_COLUMN} is empty",
            where=sheet,
        )
    numbers = rows[MRN_COLUMN].unique().to_list()
    pseudonyms = [pseudonym(number, key) for number in numbers]
    hidden = rows[MRN_COLUMN].replace_strict(numbers, pseudonyms, return_dtype=pl.String)
    return rows.with_columns(patient_id=hidden).drop(MRN_COLUMN)


def pseudonym(mrn: str, key: bytes) -> str:
    """Pseudonym of a medical record number: keyed HMAC-SHA-256 (RFC 2104), truncated."""
    return hmac.new(key, mrn.encode(), sha256).hexdigest()[:PSEUDONYM_DIGITS]


def _modality_words() -> list[str]:
    """What a row may be of: the assays that are read, and those that a sheet may list already."""
    return list(dict.fromkeys(map(str, (*Modality, *assays()))))


def _problems(rows: pl.DataFrame) -> list[tuple[int, str]]:
    words = _modality_words()
    performed = pl.col("status") == Status.PERFORMED
    date = pl.col("collected_on").str.to_date("%Y-%m-%d", strict=False)
    # The day begins up to 14 hours before it does in UTC.
    today = (datetime.now(tz=UTC) + timedelta(hours=14)).date()
    checks = {
        "column patient_id must match [A-Za-z0-9_-]{1,64}": ~pl.col("patient_id").str.contains(
            f"^{PATIENT_ID.pattern}$"
        ),
        f"column modality must be one of {', '.join(words)}": ~pl.col("modality").is_in(words),
        f"column status must be one of {', '.join(Status)}": ~pl.col("status").is_in(list(Status)),
        "column collected_on must be a date such as 2024-03-31": (
            date.is_null() | (pl.col("collected_on").str.len_chars() != len("2024-03-31"))
        )
        & ((pl.col("status") != Status.NOT_PERFORMED) | (pl.col("collected_on") != "")),
        "column collected_on lies in the future": (date > today).fill_null(value=False),
        "column path is empty although the assay was performed": performed & (pl.col("path") == ""),
        f"column sample is for {', '.join(_OF_SAMPLES)} only": (
            (pl.col("sample") != "") & ~pl.col("modality").is_in(list(_OF_SAMPLES))
        ),
        f"columns {', '.join(OPTICS)} are for {_OF_OPTICS} only": (
            pl.any_horizontal(pl.col(name) != "" for name in OPTICS)
            & (pl.col("modality") != _OF_OPTICS)
        ),
        "column pixel_size_um must be a number above 0, such as 0.2035": (
            (pl.col("pixel_size_um") != "")
            & ~(_micrometres.is_finite() & (_micrometres > 0)).fill_null(value=False)
        ),
        "the row repeats patient_id, modality and collected_on of an earlier one": (
            pl.struct("patient_id", "modality", "collected_on").is_first_distinct().not_()
        ),
    }
    found = rows.with_columns(
        pl.when(condition).then(pl.lit(text)).alias(str(number))
        for number, (text, condition) in enumerate(checks.items())
    )
    problem = pl.coalesce(str(number) for number in range(len(checks)))
    wrong = found.select("row", problem=problem).drop_nulls()
    return list(wrong.iter_rows())


def _absolute_paths(rows: pl.DataFrame, landing: str) -> pl.Series:
    performed = rows["status"] == Status.PERFORMED
    paths = [
        files.join(landing, path) if used else ""
        for path, used in zip(rows["path"], performed, strict=True)
    ]
    return pl.Series(paths, dtype=pl.String)


def _path_problems(rows: pl.DataFrame) -> list[tuple[int, str]]:
    with_file = rows.filter(pl.col("path") != "").select("row", "path", "modality")
    paths = with_file["path"]
    with ThreadPoolExecutor(_LOOKERS) as lookers:
        look = lookers.map if paths.str.starts_with(files.S3).any() else map
        gone = pl.Series(look(_is_gone, paths), dtype=pl.Boolean)
    return [
        (row, f"column path names {_shown(path, kind)}, which does not exist")
        for row, path, kind in with_file.filter(gone).iter_rows()
    ]


def _shown(path: str, modality: str) -> str:
    """Path in a message; folders are often called after patients, and the row is named."""
    kind = assays().get(modality)
    return "a folder" if kind and kind.files and kind.files.is_folder else path


def _is_gone(path: str) -> bool:
    try:
        return not files.exists(path)
    except Unavailable:
        # Storage may be back when the patient's turn comes; the driver tries several times.
        return False


def _refuse(problems: list[tuple[int, str]], sheet: str) -> None:
    if not problems:
        return
    row, problem = min(problems)
    more = len(problems) - 1
    raise SamplesheetError(
        f"row {row}: {problem}",
        where=sheet,
        hint=f"{more} more row{'s are' if more > 1 else ' is'} wrong." if more else None,
    )
