"""Guards on the clinical table that a published example trained on, outcome columns included."""

import polars as pl
import pytest

from assets.errors import StudyError
from assets.names import encode
from ml.frame import FrameColumn
from ml.guards import refuse_late_columns, suspected_leaks

pytestmark = pytest.mark.real_data

LABEL = "Survival Status"
#: Known only after diagnosis and surgery, by the names of the table.
OUTCOMES = (
    "Adjuvant Treatment",
    "Chemotherapy",
    "Radiation",
    "Recurrence",
    "Recurrence Location",
    "Date of Recurrence",
    "Date of Last Known Alive",
    "Date of Death",
    "Time to Death (days)",
)


@pytest.fixture
def clinical(real_data):
    """The table, its label apart; what the table calls missing is null."""
    [file] = (real_data / "nsclc").glob("*.csv")
    rows = pl.read_csv(file, infer_schema=False, null_values=["N/A", "Not Collected", ""])
    days = pl.col("Time to Death (days)").cast(pl.Float64)
    return rows.with_columns(days).rename({LABEL: "label"}).drop("Patient ID")


def test_guard__refuses_the_outcome_columns_naming_each(clinical):
    """The published code trains on time to death: the sentence must name every such column."""
    columns = {
        f"clinical__{encode(name)}": FrameColumn.model_validate(
            {
                "modality": "clinical", "feature": name, "unit": "1", "kind": "scalar",
                "known": "after_index" if name in OUTCOMES else "at_index",
            }
        )
        for name in clinical.columns
        if name != "label"
    }  # fmt: skip

    with pytest.raises(StudyError) as refused:
        refuse_late_columns(columns, where="study nsclc_survival")

    named = str(refused.value.got).split(", ")
    assert sorted(named) == sorted(f"clinical__{encode(name)}" for name in OUTCOMES)


def test_guard__finds_the_outcome_without_being_told(clinical):
    """Undeclared, time to death still shows itself: it alone has AUC 1.000."""
    suspects = suspected_leaks(clinical, threshold=0.95, min_patients=10)

    auc = {suspect.column: suspect.auc for suspect in suspects}
    assert auc["Time to Death (days)"] == 1.0
    assert set(auc) <= set(OUTCOMES)
