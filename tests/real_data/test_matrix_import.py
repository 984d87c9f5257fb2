"""A real matrix without an importer of its own: 20 B-ALL counts from file to training labels."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from assets.importers.matrix.cohort import import_matrix
from oncoframe.lake import Lake
from orchestration.settings import Settings

pytestmark = pytest.mark.real_data


def oncoframe(*arguments: object) -> dict:
    """Last line of a command that must succeed."""
    program = Path(sys.executable).with_name("oncoframe")
    done = subprocess.run(
        [program, *map(str, arguments), "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def counts(real_data: Path) -> pd.DataFrame:
    """Patients x genes, as another library reads them."""
    return pd.read_csv(real_data / "all_counts_allsorts/test_counts.csv", index_col=0)


def test_import_and_run__bring_every_count_into_the_lake(real_data, counts, tmp_path):
    """A patient's count under another gene or patient would pass every check but this."""
    landing, home = tmp_path / "landing", tmp_path / "home"
    source = real_data / "all_counts_allsorts"
    imported = oncoframe("import", "matrix", source, "--landing", landing)
    assert (imported["genes_in"], imported["unit"]) == ("columns", "counts")
    assert (imported["patients"], imported["genes"], imported["labelled"]) == (20, 19514, 20)

    ran = oncoframe("run", "--landing", landing, "--home", home)

    assert (ran["patients"], ran["quarantined"]) == (20, 0)
    lake = Lake(Settings(home=home).lake_dir)
    rows = lake.scan("expression_features").sort("patient_id").collect()
    assert rows["patient_id"].to_list() == sorted(counts.index)
    genes = lake.scan("dictionary_gene").sort("position").collect()["name"].to_list()
    vectors = np.array(rows["expression"].to_list())
    # Symbols that were renamed or are there twice are the reader's business.
    same = [gene for gene in counts.columns if gene in set(genes)]
    assert len(same) > 0.9 * len(counts.columns)
    at = {gene: position for position, gene in enumerate(genes)}
    np.testing.assert_allclose(
        vectors[:, [at[gene] for gene in same[:500]]], counts.loc[rows["patient_id"], same[:500]]
    )
    labels = lake.scan("labels").collect()
    assert dict(labels["label_value"].value_counts().iter_rows()) == dict(
        pd.read_csv(real_data / "all_counts_allsorts/test_labels.csv", header=None)[
            1
        ].value_counts()
    )


def test_import__is_the_same_for_the_transposed_matrix(real_data, counts, tmp_path):
    """Genes in rows, tabs, gzip: the same landing zone, byte for byte."""
    source = tmp_path / "transposed"
    source.mkdir()
    counts.T.to_csv(source / "counts.tsv.gz", sep="\t")
    (source / "labels.csv").write_bytes(
        (real_data / "all_counts_allsorts/test_labels.csv").read_bytes()
    )

    import_matrix(real_data / "all_counts_allsorts", tmp_path / "one")
    summary = import_matrix(source, tmp_path / "two")

    assert summary.genes_in == "rows"
    for file in sorted(path for path in (tmp_path / "one").rglob("*") if path.is_file()):
        assert (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes() == (
            file.read_bytes()
        )


def test_import__takes_the_tmm_reference_too(real_data, tmp_path):
    """30 samples x 818 Ensembl genes, gzipped, without labels."""
    file = real_data / "tmm_reference/gtex_lung.first30.chr21.csv.gz"

    summary = import_matrix(file, tmp_path / "landing")

    assert (summary.genes_in, summary.unit, summary.patients) == ("columns", "counts", 30)
    assert (summary.genes, summary.labelled) == (818, 0)
    assert pl.read_csv(tmp_path / "landing/samplesheet.csv").height == 30
