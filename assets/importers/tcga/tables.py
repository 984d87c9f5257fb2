"""Segments, clinical tables and case lists of TCGA-like downloads (GDC, cBioPortal, Xena).

segment file   -> read_segments -> segments by sample
clinical files -> read_clinical -> patient of each sample, labels, sex and age
case list      -> read_case_list -> samples that an assay was done on
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from assets.importers.tables import read_table, require
from assets.importers.tcga.samples import parse_barcode
from assets.importers.writers import CONTIGS, SEGMENT_SCHEMA
from oncoframe.errors import ImpossibleValue, WrongFormat
from oncoframe.reference.builds import chromosome_names
from oncoframe.textfiles import read_table as read_text

#: Column of a segment -> its names, letters and digits of them, in lower case.
_SEGMENT_COLUMNS = {
    "sample": ("id", "gdcaliquot", "sample", "sampleid", "name"),
    "chrom": ("chrom", "chromosome", "chr"),
    "start": ("locstart", "start", "startposition", "startbp"),
    "end": ("locend", "end", "endposition", "endbp"),
    "markers": ("nummark", "numprobes", "nummarkers", "numprobe", "nprobes", "markers"),
    "log2_ratio": ("segmean", "segmentmean", "value", "segcn"),
}
_PATIENT = ("PATIENT_ID", "case_submitter_id", "cases.submitter_id", "bcr_patient_barcode",
            "_PATIENT", "patient_id", "submitter_id", "case_id")  # fmt: skip
_SAMPLE = ("SAMPLE_ID", "sample_submitter_id", "sample", "sample_id", "Tumor_Sample_Barcode")
_LABEL = ("CANCER_TYPE_DETAILED", "ONCOTREE_CODE", "SUBTYPE", "label", "diagnosis",
          "primary_diagnosis", "diagnoses.primary_diagnosis")  # fmt: skip
_SEX = ("SEX", "GENDER", "gender", "sex", "demographic.gender", "sex_at_birth")
_AGE = ("AGE", "AGE_AT_DIAGNOSIS", "age_at_index", "demographic.age_at_index",
        "age_at_initial_pathologic_diagnosis", "age")  # fmt: skip


def read_segments(file: Path, *, build: str) -> pl.DataFrame:
    """Segments of a cohort: ``sample`` and columns of ``writers.SEGMENT_SCHEMA``, sorted.

    Raises
    ------
    WrongFormat
        If a column is missing or a number is none.
    ImpossibleValue
        If a segment lies outside its contig.
    """
    text = read_table(file)
    plain = {"".join(filter(str.isalnum, name)).lower(): name for name in text.columns}
    found = {ours: next((plain[name] for name in names if name in plain), ours)
             for ours, names in _SEGMENT_COLUMNS.items()}  # fmt: skip
    require(text.columns, [name for ours, name in found.items() if ours != "markers"], file)
    columns = {ours: pl.col(name) if name in text.columns else pl.lit(None, pl.String)
               for ours, name in found.items()}  # fmt: skip
    texts = text.select(**columns).with_columns(chrom=chromosome_names(text[found["chrom"]]))
    # R writes large whole numbers as 1.2e+08.
    numbers = [pl.col(name).cast(pl.Float64, strict=False) for name in ("start", "end", "markers")]
    segments = texts.with_columns(*numbers, pl.col("log2_ratio").cast(pl.Float64, strict=False))
    needed = segments.drop("markers")
    lost = [name for name in needed.columns if needed[name].null_count()]
    if lost:
        raise WrongFormat(f"column {found[lost[0]]} of the segments has gaps", where=file.name)
    segments = segments.cast(pl.Schema({"sample": pl.String(), **SEGMENT_SCHEMA}))
    length = pl.col("chrom").replace_strict(CONTIGS[build], default=None, return_dtype=pl.Int64)
    backwards = ~pl.col("start").is_between(0, pl.col("end"))
    outside = segments.filter(backwards | (pl.col("end") > length))
    if len(outside):
        raise ImpossibleValue(
            f"a segment cannot be on {build}",
            where=file.name,
            expected="a start before its end, on the contig",
            got=f"{len(outside)} others",
            hint="Say the build of the segments: --segments-build.",
        )
    order = {contig: place for place, contig in enumerate(CONTIGS[build])}
    contig = pl.col("chrom").replace_strict(order, default=len(order), return_dtype=pl.Int32)
    return segments.sort("sample", contig, "chrom", "start")


@dataclass(frozen=True)
class Clinical:
    """What the clinical tables say.

    Parameters
    ----------
    patient_of
        Sample -> patient, where a table has both.
    labels
        Patient or sample -> label.
    patients
        ``patient_id`` and, where known, ``sex`` and ``age_at_index_years``.
    label_column
        Column of the labels; None if there is none.
    """

    patient_of: dict[str, str]
    labels: dict[str, str]
    patients: pl.DataFrame
    label_column: str | None


def read_clinical(files: Sequence[Path], label_column: str | None) -> Clinical:
    """Clinical tables of patients or samples, read together.

    Parameters
    ----------
    files
        Tables, the preferred first.
    label_column
        Column of the labels; by default the first that is called like one.

    Raises
    ------
    WrongFormat
        If a table names neither patients nor samples, or none has the column of labels.
    """
    patient_of: dict[str, str] = {}
    labels: dict[str, str] = {}
    sexes: dict[str, str] = {}
    ages: dict[str, str] = {}
    tables = [(file, read_table(file)) for file in files]
    chosen = label_column or next(
        (name for name in _LABEL for _, table in tables if name in table.columns), None
    )
    if label_column and not any(label_column in table.columns for _, table in tables):
        raise WrongFormat(
            f"no clinical table has a column {label_column}",
            where=", ".join(file.name for file in files) or None,
        )
    for file, table in tables:
        patient, sample = (_first(table, names) for names in (_PATIENT, _SAMPLE))
        if patient is None and sample is None:
            raise WrongFormat(
                "the clinical table names no patients",
                where=file.name,
                expected=f"a column {', '.join((*_PATIENT, *_SAMPLE))}",
            )
        if patient and sample:
            patient_of |= dict(table.select(sample, patient).drop_nulls().iter_rows())
        keyed = table.with_columns(who=_owners(table, patient, sample)).explode("who")
        for found, names in ((labels, (chosen or "",)), (sexes, _SEX), (ages, _AGE)):
            if column := _first(table, names):
                for who, value in keyed.select("who", column).drop_nulls().iter_rows():
                    found.setdefault(who, value)
    return Clinical(patient_of, labels, _patients(sexes, ages), chosen)


def read_case_list(file: Path) -> frozenset[str]:
    """Samples of a case list of cBioPortal.

    Raises
    ------
    WrongFormat
        If it lists none.
    """
    for line in read_text(file).decode(errors="replace").splitlines():
        if line.startswith("case_list_ids:"):
            return frozenset(line.removeprefix("case_list_ids:").split())
    raise WrongFormat("the case list has no line case_list_ids", where=file.name)


def _first(table: pl.DataFrame, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in table.columns), None)


def _owners(table: pl.DataFrame, patient: str | None, sample: str | None) -> pl.Series:
    """Names under which the values of each row are kept: of the sample and of its patient."""
    samples = table[sample] if sample else pl.Series([None] * len(table), dtype=pl.String)
    patients = (
        table[patient]
        if patient
        else [None if name is None else parse_barcode(name, {}).patient for name in samples]
    )
    pairs = zip(samples, patients, strict=True)
    return pl.Series([list(dict.fromkeys(pair)) for pair in pairs], dtype=pl.List(pl.String))


def _patients(sexes: dict[str, str], ages: dict[str, str]) -> pl.DataFrame:
    names = sorted({*sexes, *ages})
    table = pl.DataFrame(
        {
            "patient_id": names,
            "sex": [sexes.get(name) for name in names],
            "age_at_index_years": [ages.get(name) for name in names],
        },
        schema=dict.fromkeys(("patient_id", "sex", "age_at_index_years"), pl.String()),
    )
    sex = pl.col("sex").str.to_lowercase().replace({"m": "male", "f": "female"})
    age = pl.col("age_at_index_years")
    return table.with_columns(
        sex=pl.when(sex.is_in(["male", "female"])).then(sex),
        age_at_index_years=pl.when(age.cast(pl.Float64, strict=False).is_between(0, 120)).then(age),
    )
