"""Contracts: what a feature table refuses, with a passing and a failing row for each rule."""

from datetime import UTC, datetime

import polars as pl
import pytest

from oncoframe.contracts import Block, Contract, Feature
from oncoframe.errors import ContractViolation
from oncoframe.names import decode, encode

CONTRACT = Contract(
    table="toy_features",
    modality="toy",
    description="A toy.",
    code_version="1",
    features=(
        Feature("burden", pl.Float64(), "1", "Burden."),
        Feature("BCR::ABL1", pl.Boolean(), "1", "Fusion."),
    ),
    blocks=(Block("toy_genes", "gene", "1", "Genes.", fill=0.0),),
)


def rows(**changes) -> pl.DataFrame:
    """One row that fits, or does not because of ``changes``."""
    now = datetime(2024, 1, 1, tzinfo=UTC)
    row = {
        "patient_id": "P1",
        "event_timestamp": now,
        "created_timestamp": now,
        "toy_performed": True,
        "burden": 1.5,
        "BCR_u3a__u3a_ABL1": None,
        "toy_genes": [1.0, float("nan")],
        "reference_build": None,
        "annotation_version": None,
        "tool": None,
        "site": None,
        "source_sha256": "0",
        "code_version": "1",
        "run_id": "r",
    }
    return pl.DataFrame([{**row, **changes}], schema=CONTRACT.schema())


def test_schema__has_keys_state_features_blocks_and_provenance_in_order():
    """Delta appends by name but Polars compares in order: a moved column refuses every write."""
    assert list(CONTRACT.schema()) == rows().columns
    assert CONTRACT.schema()["toy_genes"] == pl.List(pl.Float32())


def test_check__accepts_rows_that_fit():
    """Null features and NaN inside a vector are legal: not measured, not covered."""
    CONTRACT.check(rows())
    CONTRACT.check(rows(burden=None, toy_genes=None))
    CONTRACT.check(rows().clear())


@pytest.mark.parametrize(
    "column",
    [
        "patient_id",
        "event_timestamp",
        "created_timestamp",
        "toy_performed",
        "source_sha256",
        "code_version",
        "run_id",
    ],
)
def test_check__refuses_a_null_key(column):
    """A row without patient or time can never be joined, one without hash never be current."""
    with pytest.raises(ContractViolation, match=f"toy_features: column {column} must not be null"):
        CONTRACT.check(rows(**{column: None}))


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_check__refuses_a_scalar_that_is_not_finite(value):
    """Infinity and NaN pass every model until the scores are nonsense; unknown is null."""
    with pytest.raises(ContractViolation, match="column burden must be finite or null"):
        CONTRACT.check(rows(burden=value))


def test_check__refuses_infinity_in_a_vector():
    """One infinite gene makes every sum over the block infinite."""
    with pytest.raises(ContractViolation, match="vector toy_genes must be finite or NaN"):
        CONTRACT.check(rows(toy_genes=[0.0, float("inf")]))


def test_check__refuses_two_rows_of_one_patient_and_time():
    """Which of the two would count would depend on the order of files."""
    with pytest.raises(ContractViolation, match="one row per event time; got 2 rows"):
        CONTRACT.check(pl.concat([rows(), rows(burden=2.0)]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.drop("tool"), "missing tool"),
        (lambda table: table.with_columns(extra=1), "unknown extra"),
        (lambda table: table.cast({"burden": pl.Float32}), "burden as Float32 instead of Float64"),
        (lambda table: table.select(reversed(table.columns)), "another column order"),
    ],
)
def test_check__says_which_columns_differ(change, said):
    """A cast on write would store other values than were measured."""
    with pytest.raises(ContractViolation, match=said):
        CONTRACT.check(change(rows()))


@pytest.mark.parametrize("name", ["tool", "patient_id", "burden", "toy_performed", "toy_genes"])
def test_contract__refuses_a_column_twice(name):
    """A dict of columns keeps the last of two: one feature would vanish without a word."""
    with pytest.raises(ValueError, match=f"{name} .*twice"):
        Contract(
            table="toy_features",
            modality="toy",
            description="A toy.",
            code_version="1",
            features=(*CONTRACT.features, Feature(name, pl.Float64(), "1", "Again.")),
            blocks=CONTRACT.blocks,
        )


def test_contract__tells_names_that_are_equal_up_to_case():
    """Delta refuses such columns, DuckDB returns one of the two for both."""
    names = ("HLA-A", "hla-a", "Hla-A", "Site")
    features = tuple(Feature(name, pl.Int64(), "1", "reads") for name in names)

    contract = Contract("hla", "hla", "Reads.", "1", features)

    columns = [feature.column for feature in contract.features]
    assert [decode(column) for column in columns] == list(names)
    folded = [column.lower() for column in contract.schema()]
    assert len(set(folded)) == len(folded)
    assert columns[0] == encode("HLA-A")
