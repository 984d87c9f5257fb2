"""Feature rows: from what an extractor found to rows that fit their table."""

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from oncoframe.contracts import Block, Contract, Feature, Status
from oncoframe.errors import ContractViolation
from oncoframe.extraction import BlockValues, Extraction, LandedFile, ReadFile
from oncoframe.feature_rows import feature_rows

MAY = datetime(2024, 5, 1, tzinfo=UTC)
JUNE = datetime(2024, 6, 1, tzinfo=UTC)
CONTRACT = Contract(
    table="toy_features",
    modality="toy",
    description="A toy.",
    code_version="7",
    features=(
        Feature("burden", pl.Int64(), "1", "Burden."),
        Feature("BCR::ABL1", pl.Boolean(), "1", "Fusion."),
    ),
    blocks=(
        Block("counts", "gene", "1", "Counts.", fill=0.0),
        Block("levels", "gene", "1", "Levels.", fill=float("nan")),
    ),
)


def block(**values: float) -> BlockValues:
    names = pl.Series(list(values), dtype=pl.String)
    return BlockValues(names, np.array(list(values.values()), dtype=np.float32))


def read(patient_id: str, extraction: Extraction | None) -> ReadFile:
    status = Status.FAILED if extraction is None else Status.PERFORMED
    file = LandedFile(patient_id, "toy", "a", MAY, status, "GRCh38", "tool 1", "site 1", "landed")
    return ReadFile(file, f"read_{patient_id}", extraction)


def found(burden, counts: BlockValues | None, levels: BlockValues | None) -> Extraction:
    features = {"burden": burden, "BCR::ABL1": True}
    return Extraction(1, 1, {}, {}, features, {"counts": counts, "levels": levels})


def build(lake, *reads: ReadFile) -> pl.DataFrame:
    return feature_rows(lake, CONTRACT, reads, created=JUNE, run_id="r")


def test_feature_rows__have_values_times_and_provenance(lake):
    """The hash must be that of the bytes read, not of those seen at intake."""
    table = build(lake, read("P1", found(3, block(TP53=1), block(TP53=0.5))))
    CONTRACT.check(table)
    assert table.rows(named=True) == [
        {
            "patient_id": "P1",
            "event_timestamp": MAY,
            "created_timestamp": JUNE,
            "toy_performed": True,
            "burden": 3,
            "BCR_u3a__u3a_ABL1": True,
            "counts": [1.0],
            "levels": [0.5],
            "reference_build": "GRCh38",
            "annotation_version": None,
            "tool": "tool 1",
            "site": "site 1",
            "source_sha256": "read_P1",
            "code_version": "7",
            "run_id": "r",
            "withdrawn": False,
        }
    ]


def test_feature_rows__of_a_failed_assay_are_null(lake):
    """Zeros would read as a negative result."""
    table = build(lake, read("P1", None))
    CONTRACT.check(table)
    assert table["toy_performed"].to_list() == [False]
    assert table.select("burden", "BCR_u3a__u3a_ABL1", "counts", "levels").row(0) == (None,) * 4


def test_feature_rows__of_nothing_are_an_empty_table(lake):
    """A batch in which every patient failed still has to be committed."""
    CONTRACT.check(build(lake))


def test_feature_rows__put_values_where_the_dictionary_says(lake):
    """Vectors by order of the file would give one patient's TP53 to another's NPM1."""
    build(lake, read("P0", found(0, block(ZRSR2=9), block())))
    table = build(
        lake,
        read("P1", found(0, block(TP53=1, NPM1=2), block(NPM1=3))),
        read("P2", found(0, block(NPM1=4), None)),
    )
    assert lake.dictionary("gene")["name"].to_list() == ["ZRSR2", "NPM1", "TP53"]
    assert table["counts"].to_list() == [[0, 2, 1], [0, 4, 0]]
    levels = table["levels"].to_list()
    np.testing.assert_array_equal(levels[0], [np.nan, 3, np.nan])
    assert levels[1] is None


def test_feature_rows__reuse_positions_only_for_equal_names(lake):
    """Positions are looked up once per list of genes; a stale list would shift every value."""
    lists = [["A", "B"], ["A", "B"], ["B", "A"], ["B"], ["A", "B"]]
    blocks = [block(**{name: ord(name) for name in names}) for names in lists]
    table = build(lake, *(read(f"P{i}", found(0, b, b)) for i, b in enumerate(blocks)))
    expected = [[65, 66], [65, 66], [65, 66], [0, 66], [65, 66]]
    assert table["counts"].to_list() == expected


@pytest.mark.parametrize(
    ("features", "blocks", "said"),
    [
        ({"burden": 1}, {}, "features are not those of the table"),
        ({"burden": 1, "BCR::ABL1": True, "more": 1}, {}, "unknown .'more'."),
        ({"burden": 1, "BCR::ABL1": True}, {"counts": None}, "blocks are not those"),
    ],
)
def test_feature_rows__refuse_other_names(lake, features, blocks, said):
    """A feature that the table does not have would be dropped without a word."""
    with pytest.raises(ContractViolation, match=said):
        build(lake, read("P1", Extraction(0, 0, {}, {}, features, blocks)))
    assert not lake.exists("dictionary_gene")


@pytest.mark.parametrize("burden", ["3", 2.5, 2**70])
def test_feature_rows__refuse_values_of_another_type(lake, burden):
    """An extractor's wrong type must cost its patient, not stop the batch with a Polars error."""
    with pytest.raises(ContractViolation, match=r"toy_features: .* type"):
        build(lake, read("P1", found(burden, None, None)))


@pytest.mark.parametrize(
    ("names", "values", "said"),
    [
        (["A", "A"], [1, 2], "unique"),
        (["A", None], [1, 2], "unique"),
        (["A", "B"], [1], "1 values for 2 names"),
    ],
)
def test_block_values__refuse_what_has_no_one_place(names, values, said):
    """Of two values of one gene the vector would keep the last; null has no position."""
    with pytest.raises(ValueError, match=said):
        BlockValues(pl.Series(names, dtype=pl.String), np.array(values, dtype=np.float32))


def test_extraction__accounts_for_every_record():
    """A record that is neither used, filtered nor failed was lost silently."""
    Extraction(6, 3, {"low depth": 2}, {"no genotype": 1}, {})
    with pytest.raises(ValueError, match=r"7 records, but .* add up to 6"):
        Extraction(7, 3, {"low depth": 2}, {"no genotype": 1}, {})


def test_feature_rows__lengthen_vectors_with_the_dictionary(lake):
    """Rows written before a gene was known are shorter; none is ever longer than the dictionary."""
    genes = ["C", "A", "B"]
    tables = [build(lake, read("P1", found(0, block(**{g: 1}), None))) for g in genes]
    lengths = [table["counts"].list.len().item() for table in tables]
    assert lengths == [1, 2, 3]
    assert all(a < b for a, b in pairwise(lengths))
