"""Facts of files: what is kept, of which rows, and how they read."""

from datetime import UTC, datetime

import polars as pl
import pytest

from oncoframe import facts
from oncoframe.contracts import Status
from oncoframe.extraction import BlockValues, Extraction, Facts, LandedFile, ReadFile, names_called
from oncoframe.feature_rows import feature_rows
from oncoframe.modalities import spec

FUSION = spec("fusion").contract
FOUND = Extraction(
    records=4, used=3, filtered={"low_support": 1}, failed={},
    features=dict.fromkeys(feature.name for feature in FUSION.features),
    blocks={"fusion_partner": None}, sample="S" * 100 + "|",
    facts=Facts(("Arriba",), "GRCh38", "assumed", measures={"genes": 6.0}),
)  # fmt: skip
DAYS = [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)]


def read(patient="P1", sha256="a", *, found=FOUND, day=0):
    file = LandedFile(
        patient, "fusion", "f.tsv", DAYS[day], Status.PERFORMED, None, None, None, sha256
    )
    return ReadFile(file, sha256, found)


@pytest.fixture
def keep(lake):
    """Keep facts and rows of some files, as a commit of the driver does."""

    def keep(*reads, created=0, rows=True):
        facts.append(lake, FUSION, reads, created=DAYS[created], run_id="r")
        if rows:
            made = feature_rows(lake, FUSION, reads, created=DAYS[created], run_id="r")
            lake.append_features(FUSION, made)

    return keep


def test_standing__is_of_the_rows_that_count(keep, lake):
    """A replaced file, one whose row was refused, and a failed assay have no say."""
    other = Extraction(**{**vars(FOUND), "facts": Facts(("JAFFA",))})
    keep(read(), read("P2"), read("P3", found=None))
    keep(read(sha256="b", found=other), created=1)
    keep(read("P4"), rows=False)
    told = facts.standing(lake, FUSION)
    assert told.schema == facts.SCHEMA
    assert told.select("patient_id", "source_sha256", "callers").rows() == [
        ("P1", "b", ["JAFFA"]), ("P2", "a", ["Arriba"]),
    ]  # fmt: skip
    assert facts.standing(lake, FUSION, patient_id="P2")["patient_id"].to_list() == ["P2"]


def test_standing__is_null_in_a_home_of_before(lake):
    """Rows without facts are listed, so that a page can say that nothing was recorded."""
    assert facts.standing(lake, FUSION).is_empty()
    rows = feature_rows(lake, FUSION, [read()], created=DAYS[0], run_id="r")
    lake.append_features(FUSION, rows)
    [told] = facts.standing(lake, FUSION).rows(named=True)
    assert (told["patient_id"], told["records"], told["measures"]) == ("P1", None, None)
    assert facts.in_words(told) == {}


def test_standing__tells_a_file_once_that_was_written_twice(keep, lake):
    """A run killed between facts and rows leaves facts that the next one writes again."""
    keep(read(), rows=False)
    keep(read(), created=1)
    assert facts.standing(lake, FUSION).height == 1


def test_in_words__are_short_and_without_markup():
    words = facts.in_words(facts.values(FOUND))
    assert words == {
        "Sample": "S" * 64,
        "Callers": "Arriba",
        "Reference build": "GRCh38 (assumed)",
        "Records used": "3 of 4 (75%)",
        "Measures": "genes 6",
    }


def test_share_used__of_no_records_is_unknown():
    assert FOUND.share_used == 0.75
    assert Extraction(0, 0, {}, {}, {}).share_used is None


def test_names_called__counts_each_name_once_and_no_gap():
    """A gene that could not be read is no gene with a call."""
    first = BlockValues(pl.Series(["A", "B", "C"]), pl.Series([1.0, 0.0, float("nan")]).to_numpy())
    second = BlockValues(pl.Series(["A", "D"]), pl.Series([2.0, 1.0]).to_numpy())
    assert names_called([first, None, second]) == {"genes": 2.0}
    assert names_called([None]) == {}
