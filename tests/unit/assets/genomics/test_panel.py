"""The panel file: what it must hold, and what a broken one is told."""

from pathlib import Path

import polars as pl
import pytest
import yaml

from assets.biomarkers.contract import CONTRACT
from assets.biomarkers.document import with_panel
from assets.genomics.panel.entries import PANEL, load_panel
from assets.genomics.panel.fusions import DEFINING_FUSIONS, REARRANGED_GENES
from assets.genomics.panel.rules import Combination, Expression, Finding, findings
from oncoframe.errors import PanelError, WrongFormat

ENTRY = {
    "id": "A",
    "title": "a",
    "rule": {"mutated": ["TP53"]},
    "entity": {"who": "x", "icc": "y"},
    "evidence": ["r"],
    "version": 1,
}


@pytest.fixture
def load(tmp_path: Path):
    """Load a panel of entries, each like the first but for what is changed."""

    def _load(*changes: dict):
        entries = [{**ENTRY, "id": f"E{i}", **change} for i, change in enumerate(changes)]
        file = tmp_path / "panel.yaml"
        content = {"version": "1", "references": {"r": {"cite": "someone"}},
                   "housekeeping": ["GPI"], "entries": entries}  # fmt: skip
        file.write_text(yaml.safe_dump(content))
        load_panel.cache_clear()
        return load_panel(file)

    return _load


def test_panel__defines_what_the_classifications_need():
    """An entity whose lesion has no rule can never be told by its biomarkers."""
    panel = load_panel()
    assert len(panel.entries) >= 150
    needed = {
        "NPM1_exon12_frameshift", "FLT3_ITD", "FLT3_TKD", "IDH1_R132", "IDH2_R140", "IDH2_R172",
        "JAK2_V617F", "CALR_exon9_frameshift", "MPL_W515", "MYD88_L265P", "BRAF_V600E",
        "SF3B1_hotspot", "KIT_D816", "SRSF2_P95", "U2AF1_S34", "CEBPA_biallelic",
        "CEBPA_bZIP_in_frame", "TP53_multi_hit", "deletion_5q", "monosomy_7", "loss_7q",
        "trisomy_8", "loss_17p", "deletion_20q", "complex_karyotype", "high_hyperdiploidy",
        "hypodiploidy", "iAMP21", "BCR::ABL1", "PML::RARA", "MECOM_expression",
    }  # fmt: skip
    assert needed <= set(panel.by_id)


def test_panel__cites_for_every_entry_and_gives_each_doi_once():
    """A rule nobody can look up is a rule nobody can correct."""
    references = yaml.safe_load(PANEL.read_text())["references"]
    dois = [about["doi"] for about in references.values() if "doi" in about]
    assert len(set(dois)) == len(dois)
    assert all(entry.evidence and entry.who and entry.icc for entry in load_panel().entries)
    used = {
        key for entry in yaml.safe_load(PANEL.read_text())["entries"] for key in entry["evidence"]
    }
    assert used == set(references)


def test_panel__has_a_column_per_entry_and_flags_for_what_assays_see():
    """A fusion of the panel without a flag in the fusion table is never looked for."""
    panel = load_panel()
    types = {feature.name: feature.dtype for feature in CONTRACT.features}
    for entry in panel.entries:
        numeric = isinstance(entry.rule, Expression)
        assert types[entry.id] == (pl.Float64() if numeric else pl.Boolean())
    pairs = {"::".join(pair) for pair in DEFINING_FUSIONS}
    for finding in panel.findings:
        assert set(finding.fusion) <= pairs
        assert set(finding.rearranged) <= set(REARRANGED_GENES)


def test_findings__of_nested_rules_are_all_there(load):
    panel = load({"rule": {"any": [{"mutated": ["TP53"]}, {"all": [{"lost": ["17p"]}, "E1"]}]}}, {})
    rule = panel.by_id["E0"].rule
    assert isinstance(rule, Combination)
    assert list(findings(rule)) == [Finding(mutated=("TP53",)), Finding(lost=("17p",))]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": {"mutatd": ["TP53"]}}, "unknown keys.*mutatd"),
        ({"rule": {"mutated": ["NOGENE"]}}, "cannot be asked.*NOGENE"),
        ({"rule": {"fusion": ["BCR-ABL1"]}}, "cannot be asked.*BCR-ABL1"),
        ({"rule": {"karyotype": ["t(9;22)(q34)"]}}, "cannot be read"),
        ({"rule": {"lost": ["25q"]}}, "cannot be read"),
        ({"rule": {"lost": "5q"}}, "lost is not a list"),
        ({"rule": {"variant": [{"gene": "TP53", "residue": [1, 2]}]}}, "cannot be read"),
        ({"rule": {"variant": [{"gene": "TP53", "kinds": "nonsens"}]}}, "cannot be read"),
        ({"rule": {"variant": [{"gene": "TP53", "residues": [9, 2]}]}}, "no region"),
        ({"rule": {"mutated": ["TP53"], "silent": ["blood"]}}, "cannot be read"),
        ({"rule": {"any": []}}, "list of rules"),
        ({"rule": {"any": ["E1"], "mutated": ["TP53"]}}, "stands alone"),
        ({"rule": {"at_least": 3, "of": ["E1"]}}, "not a number of the rules"),
        ({"rule": {"any": ["NOWHERE"]}}, "names no entry.*NOWHERE"),
        ({"rule": {"any": ["E0"]}}, "circle"),
        ({"rule": {"abnormalities": [1]}}, "ranges"),
        ({"id": "e1"}, "twice"),
        ({"evidence": ["nobody"]}, "no reference.*nobody"),
        ({"evidence": []}, "evidence"),
        ({"entity": {"who": "x"}}, "keys differ"),
        ({"version": "1"}, "version"),
        ({"extra": 1}, "keys differ"),
    ],
)
def test_load_panel__names_the_entry_that_breaks_a_rule(load, change, message):
    """A rule that is skipped in silence leaves a column of nothing but false."""
    with pytest.raises(PanelError, match=message):
        load(change, {})


def test_load_panel__refuses_what_is_no_panel(tmp_path):
    with pytest.raises(PanelError, match="not there"):
        load_panel(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(PanelError, match="not YAML"):
        load_panel(tmp_path / "bad.yaml")
    (tmp_path / "list.yaml").write_text("- a")
    with pytest.raises(PanelError, match="keys differ"):
        load_panel(tmp_path / "list.yaml")


def test_document__holds_the_panel_as_it_is():
    """A document that lags behind its rules says what is no longer done."""
    text = (PANEL.parents[3] / "docs" / "biomarkers.md").read_text(encoding="utf-8")
    assert with_panel(text, load_panel()) == text
    with pytest.raises(WrongFormat, match="no place"):
        with_panel("nothing", load_panel())


def test_digests__change_with_a_rule_and_with_nothing_else(load):
    """Rows made by an older rule would otherwise count as up to date."""
    first = load({}, {"rule": {"variant": [{"gene": "TP53", "residues": [1, 9]}]}})
    turned = {"rule": {"variant": [{"residues": [1, 9], "gene": "TP53"}]}}
    titled = load({"title": "b", "version": 2}, turned)
    other = load({}, {"rule": {"variant": [{"gene": "TP53", "residues": [1, 8]}]}})
    assert (titled.digest, titled.hotspots_digest) == (first.digest, first.hotspots_digest)
    assert other.hotspots_digest != first.hotspots_digest
    assert other.digest != first.digest
