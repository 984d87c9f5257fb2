"""BeatAML 2.0: the public download turned into the landing layout.

    clinical workbook -> index specimen of each patient -> clinical/*.csv, one fusion table each
    call table        -> one VCF per specimen (GRCh37)
    expression matrix -> one table per patient (log2)
    -> samplesheet.csv, written last

A patient is landed if one specimen has both exome and RNA identifiers and the matrix has a column
``P<dbgap_subject_id>``. The index specimen is the initial-diagnosis one, else the earliest; ties
go to the first exome identifier.

Fusions are the sheet's consensus of cytogenetics and RNA-seq: a named one is positive
(``KMT2A_re`` is KMT2A with an unknown partner); a blank, "no evidence for fusion or information is
not available" in the data dictionary, is negative, since every landed specimen has the RNA-seq
that the consensus reviews; ``N/A`` is an assay that was not performed.

References
----------
Bottomly et al., Cancer Cell 2022, doi:10.1016/j.ccell.2022.07.002.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from assets.importers.beataml import tables
from assets.importers.beataml.clinical import DAY_ZERO, SHEET_COLUMNS, clinical_tables
from assets.importers.layout import implausible_genes
from assets.importers.writers import UNKNOWN, write_expression, write_fusions, write_vcf
from assets.landing.samplesheet import write_samplesheet
from oncoframe.contracts import Modality, Status
from oncoframe.errors import ImpossibleValue, WrongFormat

#: Name of the value column of the expression tables: normalised expression, base-2 logarithm.
EXPRESSION_UNIT = "log2_expression"

_SUBJECT, _DNA, _RNA = "dbgap_subject_id", "dbgap_dnaseq_sample", "dbgap_rnaseq_sample"
_STAGE, _DAY = "diseaseStageAtSpecimenCollection", "timeOfSampleCollectionRelativeToInclusion"
_FUSION, _CENTER = "consensusAMLFusions", "centerID"
_COLUMNS = list(
    dict.fromkeys([_SUBJECT, _DNA, _RNA, _STAGE, _DAY, _FUSION, _CENTER, *SHEET_COLUMNS])
)
#: End of a consensus call that names one gene only.
_REARRANGED = "_re"


@dataclass(frozen=True)
class ImportSummary:
    """What was landed and what became of the rest.

    ``calls == variants + merged_calls + calls_not_landed`` always holds.

    Parameters
    ----------
    patients, specimens
        Patients landed, and specimens with a VCF.
    patients_not_landed
        Patients of the sheet without exome and RNA of one specimen, or without expression.
    same_day_specimens
        Further specimens of a day that has one already, left out.
    calls
        Rows of the call table.
    variants
        Records in the VCFs.
    merged_calls
        Calls of a second caller, counted in the record of the first.
    calls_not_landed
        Calls of specimens that were not landed.
    genes
        Genes per expression table.
    fusion_positive, fusion_negative, fusion_not_assessed
        Patients by consensus fusion call.
    labelled
        Patients with a WHO diagnosis.
    unreadable_values
        Measurements given as words, left empty.
    implausible
        Gene -> values that no measurement gives; they are landed as they are.
    """

    patients: int
    specimens: int
    patients_not_landed: int
    same_day_specimens: int
    calls: int
    variants: int
    merged_calls: int
    calls_not_landed: int
    genes: int
    fusion_positive: int
    fusion_negative: int
    fusion_not_assessed: int
    labelled: int
    unreadable_values: int
    implausible: dict[str, str]


def import_beataml(
    source: Path,
    landing: Path,
    *,
    specimens: Literal["initial", "all"] = "initial",
    progress: Callable[[int, int], None] | None = None,
) -> ImportSummary:
    """Write the landing layout of a BeatAML 2.0 download.

    Parameters
    ----------
    source
        Folder with the call table (``*mutations*.txt``), the clinical workbook
        (``*clinical*.xlsx``) and the expression matrix (``*norm_exp*.tsv``).
    landing
        Folder to write; created if needed.
    specimens
        ``initial``: the index specimen only. ``all``: also the exomes of the patient's other
        specimens that have exome and RNA, each with its own date.
    progress
        Called with (specimens written, specimens in all).

    Raises
    ------
    FileMissing
        If one of the three files is not there, or there are several of a kind.
    WrongFormat
        If a column is missing, a file is not the table it should be, or no patient has all data.
    ImpossibleValue
        If a call lies outside GRCh37, or reads or dates cannot be.
    """
    found = _read(source)
    calls = found.calls
    usable = _usable(found.sheet, found.expression.columns, found.workbook)
    index = usable.unique("patient_id", keep="first", maintain_order=True)
    wanted = index if specimens == "initial" else usable
    exomes = wanted.unique(["patient_id", "collected_on"], keep="first", maintain_order=True)
    landed_calls = calls.filter(pl.col("dbgap_sample_id").is_in(exomes[_DNA].implode()))
    variants = tables.variants(landed_calls)
    fusions = [_fusions(value, found.workbook) for value in index[_FUSION]]
    clinical = clinical_tables(index, where=found.workbook)

    rows: list[dict[str, str]] = []
    for row in _land_exomes(landing, exomes, variants):
        rows.append(row)
        if progress:
            progress(len(rows), len(exomes))
    rows += _land_fusions(landing, index, fusions)
    rows += _land_expression(landing, index, found.expression)
    folder = _folder(landing, "clinical")
    clinical.patients.write_csv(folder / "patients.csv")
    clinical.diagnoses.write_csv(folder / "diagnoses.csv")
    write_samplesheet(landing, rows)
    return ImportSummary(
        patients=len(index),
        specimens=len(exomes),
        patients_not_landed=found.sheet[_SUBJECT].n_unique() - len(index),
        same_day_specimens=len(wanted) - len(exomes),
        calls=len(calls),
        variants=len(variants),
        merged_calls=len(landed_calls) - len(variants),
        calls_not_landed=len(calls) - len(landed_calls),
        genes=len(found.expression),
        fusion_positive=sum(bool(partners) for partners in fusions),
        fusion_negative=fusions.count([]),
        fusion_not_assessed=fusions.count(None),
        labelled=len(clinical.diagnoses),
        unreadable_values=clinical.unreadable_values,
        implausible=implausible_genes(
            found.expression.drop("symbol").to_numpy().T, found.expression["symbol"].to_list()
        ),
    )


@dataclass(frozen=True)
class _Download:
    workbook: str
    sheet: pl.DataFrame
    expression: pl.DataFrame
    calls: pl.DataFrame


def _read(source: Path) -> _Download:
    workbook = tables.only_file(source, "*clinical*.xlsx", "clinical workbook")
    matrix = tables.only_file(source, "*norm_exp*.tsv", "expression matrix")
    calls = tables.only_file(source, "*mutations*.txt", "call table")
    return _Download(
        workbook.name,
        tables.read_sheet(workbook, _COLUMNS),
        tables.read_expression(matrix),
        tables.read_calls(calls),
    )


def _usable(sheet: pl.DataFrame, patients: Sequence[str], where: str) -> pl.DataFrame:
    """Specimens with exome and RNA of patients with expression, index specimen first."""
    day = pl.col(_DAY).cast(pl.Int64, strict=False)
    usable = sheet.with_columns(
        patient_id="P" + pl.col(_SUBJECT),
        day=day,
        site="center_" + pl.col(_CENTER),
        collected_on=(pl.lit(DAY_ZERO) + pl.duration(days=day)).cast(pl.Date).dt.to_string(),
    ).filter(
        pl.col(_DNA).is_not_null()
        & pl.col(_RNA).is_not_null()
        & pl.col("patient_id").is_in(list(patients))
    )
    if usable.is_empty():
        raise WrongFormat(
            "no patient has exome, RNA and expression",
            where=where,
            expected="patients named P<dbgap_subject_id> in the expression matrix",
        )
    undated = usable["day"].null_count() + int((usable["day"] < 0).sum())
    if undated:
        raise ImpossibleValue(
            f"column {_DAY} holds no day", where=where, expected="0 or more", got=f"{undated} rows"
        )
    not_initial = (pl.col(_STAGE) != "Initial Diagnosis").fill_null(value=True)
    return usable.sort("patient_id", not_initial, "day", _DNA)


def _fusions(consensus: str | None, where: str) -> list[tuple[str, str]] | None:
    """Partners of the consensus fusion: none for a negative, None for no assessment."""
    value = (consensus or "").strip()
    if value == "N/A":
        return None
    if not value:
        return []
    if value.endswith(_REARRANGED):
        return [(value.removesuffix(_REARRANGED), UNKNOWN)]
    partners = value.split("-")
    if len(partners) != 2 or not all(partners):  # noqa: PLR2004  (a fusion has two partners)
        raise WrongFormat(
            f"column {_FUSION} holds another kind of value",
            where=where,
            expected="GENE1-GENE2, GENE_re, N/A or nothing",
        )
    return [(partners[0], partners[1])]


def _land_exomes(
    landing: Path, exomes: pl.DataFrame, variants: pl.DataFrame
) -> Iterator[dict[str, str]]:
    folder = _folder(landing, "snv")
    by_sample = variants.partition_by("dbgap_sample_id", as_dict=True)
    nothing_found = variants.clear()
    for specimen in exomes.iter_rows(named=True):
        sample = specimen[_DNA]
        path = folder / f"{specimen['patient_id']}_{sample}.vcf.gz"
        write_vcf(path, sample, by_sample.get((sample,), nothing_found), source="BeatAML 2.0")
        yield _row(specimen, Modality.SNV, path, "mutect+varscan", build="GRCh37")


def _land_fusions(
    landing: Path, index: pl.DataFrame, fusions: Sequence[list[tuple[str, str]] | None]
) -> Iterator[dict[str, str]]:
    folder = _folder(landing, "fusion")
    for specimen, partners in zip(index.iter_rows(named=True), fusions, strict=True):
        path = None
        if partners is not None:
            path = folder / f"{specimen['patient_id']}_{specimen[_RNA]}.fusions.tsv"
            write_fusions(path, partners)
        yield _row(specimen, Modality.FUSION, path, "consensus")


def _land_expression(
    landing: Path, index: pl.DataFrame, expression: pl.DataFrame
) -> Iterator[dict[str, str]]:
    folder = _folder(landing, "expression")
    for specimen in index.iter_rows(named=True):
        patient = specimen["patient_id"]
        path = folder / f"{patient}_{specimen[_RNA]}.tsv"
        write_expression(path, expression["symbol"], expression[patient], unit=EXPRESSION_UNIT)
        yield _row(specimen, Modality.EXPRESSION, path, "BeatAML 2.0")


def _row(
    specimen: dict[str, Any], modality: Modality, path: Path | None, tool: str, build: str = ""
) -> dict[str, str]:
    """Row of the samplesheet; without a path the assay was not performed."""
    return {
        "patient_id": specimen["patient_id"],
        "modality": modality,
        "path": f"{path.parent.name}/{path.name}" if path else "",
        "collected_on": specimen["collected_on"],
        "status": Status.PERFORMED if path else Status.NOT_PERFORMED,
        "reference_build": build,
        "tool": tool,
        "site": specimen["site"] or "",
    }


def _folder(landing: Path, name: str) -> Path:
    folder = landing / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
