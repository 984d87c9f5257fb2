"""BeatAML importer on the real download: counts and the published mutation matrix."""

from functools import cache
from pathlib import Path

import cyvcf2
import polars as pl
import pytest

from assets.importers.beataml.cohort import ImportSummary, import_beataml
from assets.landing.samplesheet import read_samplesheet

pytestmark = pytest.mark.real_data


@cache
def import_once(source: Path, landing: Path) -> tuple[Path, ImportSummary]:
    """Import for all tests of this module; they only read it."""
    return landing, import_beataml(source, landing, specimens="all")


@pytest.fixture
def imported(
    real_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, ImportSummary]:
    """Landing zone with every specimen."""
    return import_once(real_data / "beataml2", tmp_path_factory.getbasetemp() / "beataml")


def mutated_genes(file: str) -> set[str]:
    """Genes that the CSQ of a VCF names, read by htslib."""
    with cyvcf2.VCF(file) as vcf:
        declared = vcf.get_header_type("CSQ")["Description"].strip('"')
        symbol = declared.split("Format: ")[1].split("|").index("SYMBOL")
        return {record.INFO["CSQ"].split("|")[symbol] for record in vcf}


def test_import_beataml__lands_every_patient_and_accounts_for_every_call(imported, real_data):
    """Patients lost here are lost silently for everything that follows."""
    landing, summary = imported

    assert (summary.patients, summary.patients_not_landed) == (566, 805 - 566)
    assert (summary.specimens, summary.same_day_specimens) == (621, 0)
    assert summary.calls == 11_721
    assert summary.variants + summary.merged_calls + summary.calls_not_landed == summary.calls
    assert summary.genes == 469
    assert summary.fusion_positive + summary.fusion_negative == 566
    matrix = pl.read_csv(real_data / "beataml2" / "beataml_norm_exp_469_genes.tsv", separator="\t")
    sheet = read_samplesheet(str(landing))
    assert set(sheet["patient_id"]) == set(matrix.columns[1:])
    assert len(sheet) == 566 + 566 + 621


def test_import_beataml__labels_have_fifteen_classes_of_ten_or_more(imported):
    """The study's population, counted independently: 15 classes, 532 patients."""
    landing, summary = imported

    labels = pl.read_csv(landing / "clinical" / "diagnoses.csv")
    classes = labels.group_by("label_value").len().filter(pl.col("len") >= 10)
    assert (len(classes), classes["len"].sum()) == (15, 532)
    assert len(labels) == summary.labelled == labels["patient_id"].n_unique()
    assert set(labels["label_version"]) == {"WHO 2016"}


def test_import_beataml__agrees_with_the_published_mutation_matrix(imported, real_data):
    """Made by others from the same calls over all specimens of a patient: 99.98 % of the cells."""
    landing, _ = imported
    expected = pl.read_csv(
        real_data / "beataml2" / "expected_mutation_matrix_19_genes.tsv", separator="\t"
    )
    found: dict[str, set[str]] = {}
    for row in read_samplesheet(str(landing)).filter(modality="snv").iter_rows(named=True):
        found.setdefault(row["patient_id"], set()).update(mutated_genes(row["path"]))

    cells = [
        (gene in found[row["subject"]]) == bool(row[gene])
        for row in expected.iter_rows(named=True)
        for gene in expected.columns[1:]
    ]

    assert len(cells) == 566 * 19
    assert sum(cells) / len(cells) >= 0.999
