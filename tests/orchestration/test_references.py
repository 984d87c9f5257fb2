"""The user's annotation on its way to workers, dictionaries and staleness."""

import pytest

from assets.genomics.sv import reader as sv
from oncoframe.errors import FileMissing
from oncoframe.reference import active
from oncoframe.reference.active import reference_for
from oncoframe.reference.load import built_in
from orchestration.patients.references import prepare_references, seed_dictionaries
from orchestration.patients.staleness import row_states
from orchestration.settings import Settings

GTF = (
    'chr7\tHAVANA\tgene\t100\t900\t.\t+\t.\tgene_id "ENSG00000000001.2"; gene_name "AAA";\n'
    'chr8\tHAVANA\tgene\t100\t900\t.\t+\t.\tgene_id "ENSG00000000002.2"; gene_name "BBB";\n'
)


@pytest.fixture(autouse=True)
def _built_in_again():
    yield
    active.use(None)


@pytest.fixture
def annotated(settings, tmp_path):
    """Settings with an annotation of two genes for GRCh38."""
    gtf = tmp_path / "two.gtf"
    gtf.write_text(GTF)
    return Settings(home=settings.home, annotation_grch38=gtf)


def test_prepare_references__puts_the_annotation_to_use(annotated):
    """A setting that reached no reader would leave the panel's genes in place without a word."""
    prepare_references(annotated)
    found = reference_for("hg38")
    assert found is not None
    assert {"AAA", "BBB", "IGH"} <= set(found.genes["symbol"])
    assert "TP53" not in found.genes["symbol"]
    assert reference_for("hg19") is built_in("GRCh37")


def test_prepare_references__names_a_file_that_is_not_there(settings, tmp_path):
    """A typo in the path must stop the run, not fall back to other genes."""
    wrong = Settings(home=settings.home, annotation_grch38=tmp_path / "none.gtf")
    with pytest.raises(FileMissing, match=r"none\.gtf"):
        prepare_references(wrong)


def test_seed_dictionaries__gives_places_before_files_do(annotated, lake):
    """Positions of a full annotation are the same whatever patient comes first."""
    prepare_references(annotated)
    seed_dictionaries(annotated, lake)
    before = lake.dictionary("gene")
    assert {"AAA", "BBB", "IGH"} <= set(before["name"])
    assert len(lake.dictionary("arm")) == 48
    after = lake.extend_dictionary("gene", before["name"])
    assert after.equals(before)


def test_row_states__of_another_annotation_are_not_current(hospital):
    """New genes would otherwise count only for the patients who come after them."""
    current = built_in("GRCh38").label
    hospital.measure(sv.CONTRACT, "P1", annotation_version=current, code_version="1")
    hospital.measure(sv.CONTRACT, "P2", annotation_version="GRCh38 older", code_version="1")
    hospital.measure(sv.CONTRACT, "P3", annotation_version=None, code_version="1")
    states = row_states(hospital.lake, sv.CONTRACT, ["P1", "P2", "P3"])
    assert {p: [state[-1] for state in found] for p, found in states.items()} == {
        "P1": ["1"], "P2": [""], "P3": ["1"]}  # fmt: skip
