"""The feature dictionary: nothing of a contract is lost, and the document is today's."""

import re

import polars as pl
import pytest

from assets.store.dictionary import SCHEMA, as_html, as_markdown, feature_dictionary
from oncoframe.contracts import Block, Contract, Feature, Known
from oncoframe.modalities import feature_contracts
from orchestration.settings import PROJECT

CONTRACT = Contract(
    "toy_features",
    "toy",
    "A toy | of *all* kinds.",
    "1",
    (
        Feature("BCR::ABL1", pl.Boolean(), "1", "fused <b>|</b>", Known.AFTER_INDEX),
        Feature("kit", pl.String(), "1", "How it was made.", is_setting=True),
    ),
    (Block("burden", "gene", "1", "Variants per gene.", float("nan")),),
)


def test_feature_dictionary__holds_every_column_of_every_table_once():
    """A column that nobody explains is one that everybody guesses."""
    told = feature_dictionary(feature_contracts())

    assert told.schema == SCHEMA
    assert not told.select("table", "column").is_duplicated().any()
    for contract in feature_contracts():
        meanings = contract.meanings()
        features = [name for name in contract.schema() if "unit" in meanings[name]]
        listed = told.filter(table=contract.table)["column"].to_list()
        assert sorted(listed) == sorted([contract.performed_column, *features])
    assert not told["description"].str.strip_chars().eq("").any()


def test_feature_dictionary__keeps_names_of_the_field_beside_those_of_tools():
    rows = feature_dictionary([CONTRACT]).rows_by_key("feature", named=True, unique=True)

    assert rows["BCR::ABL1"]["column"] == "BCR_u3a__u3a_ABL1"
    assert rows["BCR::ABL1"]["known"] == "after_index"
    assert rows["kit"]["kind"] == "setting"
    assert (rows["burden"]["axis"], rows["burden"]["fill"]) == ("gene", None)
    assert rows["toy_performed"]["kind"] == "performed"


def test_as_markdown__has_as_many_cells_in_every_row():
    """A bar in a description would shift the meaning under the unit."""
    rows = [line for line in as_markdown([CONTRACT]).splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}
    assert r"fused \<b>\|\</b>" in as_markdown([CONTRACT])


def test_as_html__holds_every_column_and_no_markup_of_a_contract():
    page = as_html([CONTRACT])
    assert "BCR::ABL1" in page
    assert "fused &lt;b&gt;|&lt;/b&gt;" in page


def test_document__is_that_of_the_contracts():
    """Made by ``oncoframe dictionary --markdown docs/dictionary.md``."""
    document = (PROJECT / "docs" / "dictionary.md").read_text(encoding="utf-8")
    if document != as_markdown(feature_contracts()):
        pytest.fail("docs/dictionary.md is old: oncoframe dictionary --markdown docs/dictionary.md")
