"""Cohorts of the Genomic Data Commons, cBioPortal or Xena, turned into the landing layout.

    MAFs              -> one VCF per patient
    segments          -> one SEG file per patient
    expression matrix -> one table per patient
    clinical tables   -> clinical/*.csv
    -> samplesheet.csv, written last

One specimen of each patient is landed, see :mod:`assets.importers.tcga.samples`. A patient
without a row in the MAFs was sequenced without a finding only if cBioPortal's list of sequenced
cases names the sample; otherwise nobody knows, and the assay counts as not performed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from assets.importers.layout import (
    ONLY_LABELS,
    LabelSource,
    implausible_genes,
    landing_folder,
    sheet_row,
    write_clinical,
)
from assets.importers.matrix.cohort import land_expression
from assets.importers.matrix.tables import patient_ids
from assets.importers.tcga.download import FOUND, Download, Files, read_download
from assets.importers.tcga.samples import Choice, choose, parse_barcode
from assets.importers.tcga.tables import Clinical
from assets.importers.writers import write_seg, write_vcf
from assets.landing.samplesheet import write_samplesheet
from oncoframe.contracts import Modality
from oncoframe.errors import WrongFormat

_TOOL = "tcga-maf"


@dataclass(frozen=True)
class TcgaSummary:
    """What was landed and what became of the rest.

    ``maf_rows == calls + merged_calls + calls_of_other_samples + sum(calls_left_out.values())`` and
    ``samples == samples_landed + normal_samples + other_specimens + further_aliquots`` always hold.

    Parameters
    ----------
    patients
        Patients landed.
    with_snv, with_cnv, with_expression
        Of these, patients with the assay.
    samples, samples_landed, normal_samples, other_specimens, further_aliquots
        Samples over all assays, and what became of them.
    maf_rows, calls, merged_calls, calls_of_other_samples, calls_left_out
        Rows of the MAFs and what became of them; the last by reason.
    segments
        Segments landed.
    genes, unnamed_genes, repeated_genes
        Genes per expression table, and rows that were left out.
    labelled, classes
        Patients with a label, and different labels.
    implausible
        Gene -> values that no measurement gives; they are landed as they are.
    """

    patients: int
    with_snv: int
    with_cnv: int
    with_expression: int
    samples: int
    samples_landed: int
    normal_samples: int
    other_specimens: int
    further_aliquots: int
    maf_rows: int
    calls: int
    merged_calls: int
    calls_of_other_samples: int
    segments: int
    genes: int
    unnamed_genes: int
    repeated_genes: int
    labelled: int
    classes: int
    calls_left_out: dict[str, int] = field(default_factory=dict)
    implausible: dict[str, str] = field(default_factory=dict)


def import_tcga_maf(
    source: Path,
    landing: Path,
    *,
    files: Files = FOUND,
    labels: LabelSource = ONLY_LABELS,
    progress: Callable[[int, int], None] | None = None,
) -> TcgaSummary:
    """Write the landing layout of a cohort.

    Parameters
    ----------
    source
        Folder of the download; the files are found by their names.
    landing
        Folder to write; created if needed.
    files
        Files and builds that are not to be looked for.
    labels
        Column of the clinical tables that has the label, and what it is called.
    progress
        Called with (patients written, patients in all).

    Raises
    ------
    FileMissing
        If there is neither MAF nor segments nor matrix, or several could be meant.
    EmptyFile, TruncatedFile, WrongFormat, ImpossibleValue
        If a file is not the table it should be, a build or unit cannot be told, or a value cannot
        be.
    """
    found = read_download(source, files, labels.column)
    choice = choose(_assays(found), found.clinical.patient_of)
    patients = {patient for names in choice.names.values() for patient in names.values()}
    if not patients:
        raise WrongFormat("no sample of the download is a tumour", where=str(source))
    ids = patient_ids(sorted(patients), str(source))
    rows: list[dict[str, str]] = []
    calls = len(choice.names.get(Modality.SNV, {}))
    for row in _land_calls(landing, found, choice, ids):
        rows.append(row)
        if progress:
            progress(len(rows), calls)
    rows += _land_segments(landing, found, choice, ids)
    rows += _land_expression(landing, found, choice, ids)
    by_patient = _labels(found.clinical, choice, ids)
    write_clinical(landing, _patients(found.clinical, ids), by_patient, labels)
    write_samplesheet(landing, rows)
    return _summary(found, choice, rows, by_patient)


def _assays(found: Download) -> dict[Modality, set[str]]:
    assays: dict[Modality, set[str]] = {}
    if found.calls:
        assays[Modality.SNV] = {*found.calls.samples, *found.sequenced}
    if found.segments is not None:
        assays[Modality.CNV] = set(found.segments["sample"])
    if found.expression:
        assays[Modality.EXPRESSION] = set(found.expression.matrix.columns)
    return assays


def _land_calls(
    landing: Path, found: Download, choice: Choice, ids: dict[str, str]
) -> Iterator[dict[str, str]]:
    if found.calls is None:
        return
    folder = landing_folder(landing, "snv")
    by_sample = found.calls.calls.partition_by("sample", as_dict=True, include_key=False)
    nothing_found = found.calls.calls.drop("sample").clear()
    for name, patient in choice.names[Modality.SNV].items():
        path = folder / f"{ids[patient]}.vcf.gz"
        calls = by_sample.get((name,), nothing_found)
        write_vcf(path, name, calls, source="MAF", build=found.calls.build)
        yield sheet_row(ids[patient], Modality.SNV, path, tool=_TOOL, build=found.calls.build)


def _land_segments(
    landing: Path, found: Download, choice: Choice, ids: dict[str, str]
) -> Iterator[dict[str, str]]:
    if found.segments is None:
        return
    folder = landing_folder(landing, "cnv")
    by_sample = found.segments.partition_by("sample", as_dict=True, include_key=False)
    for name, patient in choice.names[Modality.CNV].items():
        path = folder / f"{ids[patient]}.seg"
        write_seg(path, name, by_sample[(name,)])
        yield sheet_row(ids[patient], Modality.CNV, path, tool=_TOOL, build=found.segments_build)


def _land_expression(
    landing: Path, found: Download, choice: Choice, ids: dict[str, str]
) -> list[dict[str, str]]:
    if found.expression is None:
        return []
    columns = {name: ids[patient] for name, patient in choice.names[Modality.EXPRESSION].items()}
    matrix, unit = found.expression.matrix, found.expression.unit
    return land_expression(landing, matrix, columns, unit, tool=_TOOL)


def _labels(clinical: Clinical, choice: Choice, ids: dict[str, str]) -> dict[str, str]:
    """Label of each patient: of the specimen that is landed, else of the patient."""
    found: dict[str, str] = {}
    for names in choice.names.values():
        for name, patient in names.items():
            specimen = parse_barcode(name, clinical.patient_of).specimen
            known = (clinical.labels.get(key) for key in (name, specimen, patient))
            label = next((label for label in known if label is not None), None)
            if label is not None:
                found.setdefault(ids[patient], label)
    return found


def _patients(clinical: Clinical, ids: dict[str, str]) -> pl.DataFrame:
    names = pl.DataFrame({"name": list(ids), "patient_id": list(ids.values())})
    return names.join(clinical.patients.rename({"patient_id": "name"}), on="name", how="left").drop(
        "name"
    )


def _summary(
    found: Download, choice: Choice, rows: list[dict[str, str]], labels: dict[str, str]
) -> TcgaSummary:
    performed = [row["modality"] for row in rows if row["path"]]
    samples = {modality: list(names) for modality, names in choice.names.items()}
    calls, segments, expression = found.calls, found.segments, found.expression
    landed = len(calls.calls.filter(pl.col("sample").is_in(samples[Modality.SNV]))) if calls else 0
    return TcgaSummary(
        patients=len({row["patient_id"] for row in rows}),
        with_snv=performed.count(Modality.SNV),
        with_cnv=performed.count(Modality.CNV),
        with_expression=performed.count(Modality.EXPRESSION),
        samples=choice.samples,
        samples_landed=sum(map(len, samples.values())),
        normal_samples=choice.normals,
        other_specimens=choice.other_specimens,
        further_aliquots=choice.further_aliquots,
        maf_rows=calls.rows if calls else 0,
        calls=landed,
        merged_calls=calls.merged if calls else 0,
        calls_of_other_samples=len(calls.calls) - landed if calls else 0,
        segments=0
        if segments is None
        else int(segments["sample"].is_in(samples[Modality.CNV]).sum()),
        genes=len(expression.matrix.rows) if expression else 0,
        unnamed_genes=expression.unnamed if expression else 0,
        repeated_genes=expression.repeated if expression else 0,
        labelled=len(labels),
        classes=len(set(labels.values())),
        calls_left_out=calls.left_out if calls else {},
        implausible=implausible_genes(expression.matrix.values.T, expression.matrix.rows)
        if expression
        else {},
    )
