"""Commands of import: what a person and a program get."""

import json

import pytest
from typer.testing import CliRunner

from orchestration.cli.main import app


def invoke(*arguments: str, code: int = 0):
    result = CliRunner().invoke(app, ["import", *arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def matrix(tmp_path):
    file = tmp_path / "counts.csv"
    file.write_text("gene,A,B\nTP53,1,2\nFLT3,3,4\n")
    return file


def test_import_matrix__tells_programs_and_people_what_was_landed(matrix, tmp_path):
    arguments = ("matrix", str(matrix), "--landing", str(tmp_path / "landing"))

    said = json.loads(invoke(*arguments, "--json").stdout.splitlines()[-1])
    shown = invoke(*arguments).stdout

    assert (said["patients"], said["genes"], said["genes_in"]) == (2, 2, "rows")
    assert "oncoframe run --landing" in shown


def test_import_matrix__options_reach_the_importer(matrix, tmp_path):
    labels = tmp_path / "who.csv"
    labels.write_text("id,a,b\nA,x,y\n")
    invoke("matrix", str(matrix), "--landing", str(tmp_path / "landing"), "--labels", str(labels),
           "--label-column", "b", "--label-name", "entity", "--label-version", "v2",
           "--genes", "rows", "--unit", "tpm")  # fmt: skip

    assert (tmp_path / "landing/clinical/diagnoses.csv").read_text().splitlines()[1] == (
        "A,entity,y,v2,2020-01-01"
    )
    assert "\ttpm\n" in (tmp_path / "landing/expression/A.tsv").read_text()


@pytest.mark.parametrize("name", ["matrix", "tcga-maf", "beataml"])
def test_import__says_in_one_sentence_what_is_missing(tmp_path, name):
    """A traceback is no message."""
    result = invoke(name, str(tmp_path / "nowhere"), "--landing", str(tmp_path / "landing"), code=1)

    assert result.stderr.startswith("FileMissing: ")
    assert result.stderr.count("\n") == 1


def test_import_tcga_maf__options_reach_the_importer(tmp_path):
    (tmp_path / "calls.txt").write_text(
        "Hugo_Symbol\tChromosome\tStart_Position\tVariant_Classification\tReference_Allele\t"
        "Tumor_Seq_Allele2\tTumor_Sample_Barcode\nTP53\t17\t100\tSilent\tC\tT\tS1\n"
    )
    said = invoke(
        "tcga-maf", str(tmp_path), "--maf", str(tmp_path / "calls.txt"), "--build", "GRCh37",
        "--landing", str(tmp_path / "landing"), "--json",
    )  # fmt: skip

    assert json.loads(said.stdout.splitlines()[-1])["calls"] == 1


@pytest.mark.parametrize("name", ["matrix", "tcga-maf", "beataml"])
def test_import__help_has_an_example(name):
    assert f"oncoframe import {name}" in " ".join(invoke(name, "--help").stdout.split())
