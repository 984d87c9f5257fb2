"""Clinical contract: what the YAML of the marts says, against what the clinic knows when."""

import polars as pl
import pytest
import yaml

from assets.clinical.contract import MARTS, clinical_contract, mart
from oncoframe.contracts import Known
from oncoframe.errors import ContractViolation

#: Facts that only time brings, whatever their column says: written down apart from the YAML.
LATER = {
    "vital_status",
    "overall_survival_days",
    "cause_of_death",
    "response_to_induction",
    "induction_type",
    "induction_duration_days",
    "treatment_types",
    "treatment_regimens",
    "treatment_stages",
    "treatment_type_count",
    "treatment_regimen_count",
    "treatment_stage_count",
    "had_chemotherapy",
    "current_regimen",
    "current_stage",
    "most_recent_treatment_type",
    "most_recent_treatment_duration_days",
    "eln2017_risk",
    "had_adjuvant_treatment",
    "had_radiation",
    "has_recurrence",
    "recurrence_location",
    "recurrence_free_days",
}


@pytest.fixture
def marts(tmp_path):
    """Folder with a copy of the marts' YAML that a test may spoil."""
    for file in MARTS.glob("*.yml"):
        (tmp_path / file.name).write_text(file.read_text())
    return tmp_path


def spoil(marts, column: str, **changes) -> None:
    """Change properties of a column; None takes one away, ``meta_`` reaches into its meta."""
    file = marts / "clinical_features.yml"
    content = yaml.safe_load(file.read_text())
    [found] = [c for c in content["models"][0]["columns"] if c["name"] == column]
    for name, value in changes.items():
        place = found["config"]["meta"] if name.startswith("meta_") else found
        key = name.removeprefix("meta_")
        place.pop(key)
        if value is not None:
            place[key] = value
    file.write_text(yaml.safe_dump(content))


def test_clinical_contract__everything_after_the_index_event_says_so():
    """One column of the outcome marked as known at diagnosis makes a model that cannot fail."""
    features = clinical_contract().features
    assert {f.name for f in features if f.known is Known.AFTER_INDEX} == LATER
    assert len(features) > len(LATER)


def test_clinical_contract__types_are_those_of_the_lake():
    """A text column typed as a number is null for everybody after the first append."""
    schema = clinical_contract().schema()
    assert schema["wbc_10e9_per_l"] == pl.Float64()
    assert schema["is_denovo"] == pl.Boolean()
    assert schema["karyotype_iscn"] == pl.String()
    assert schema["treatment_type_count"] == pl.Int64()
    assert schema["clinical_performed"] == pl.Boolean()
    assert clinical_contract().modality == "clinical"


def test_clinical_contract__keys_and_site_are_no_features():
    """The site tells hospitals apart and with them outcomes; it is provenance."""
    names = {f.name for f in clinical_contract().features}
    assert names.isdisjoint({"patient_id", "index_timestamp", "site"})


def test_clinical_contract__every_column_carries_its_unit_in_its_name():
    """A unit in the meta that is not the one in the name: one of the two is wrong."""
    units = {
        "_pct": "%",
        "_u_per_l": "U/L",
        "_g_per_dl": "g/dL",
        "_mg_per_dl": "mg/dL",
        "_10e9_per_l": "10^9/L",
        "_fl": "fL",
        "_years": "a",
        "_days": "d",
        "_kg": "kg",
    }
    for feature in clinical_contract().features:
        endings = [end for end in units if feature.name.endswith(end)]
        expected = units[max(endings, key=len)] if endings else "1"
        assert feature.unit == expected, feature.name


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"meta_unit": None}, "unit"),
        ({"meta_known": None}, "known"),
        ({"meta_known": "sometimes"}, "known"),
        ({"description": None}, "description"),
        ({"data_type": "date"}, "data_type"),
    ],
)
def test_clinical_contract__refuses_a_column_that_does_not_say_what_it_is(marts, changes, what):
    """Without "known" a new column of the outcome would enter every frame."""
    spoil(marts, "mcv_fl", **changes)
    with pytest.raises(ContractViolation, match=f"column mcv_fl does not say its {what}"):
        clinical_contract(marts)


def test_mart__refuses_a_mart_without_description(marts):
    (marts / "labels.yml").unlink()
    with pytest.raises(ContractViolation, match="mart labels is not described"):
        mart("labels", marts)


@pytest.mark.parametrize("name", ["clinical_features", "labels", "cohort"])
def test_mart__describes_every_column(name):
    """The descriptions are what the UI and the feature dictionary show."""
    model = mart(name)
    assert model["description"]
    assert model["config"]["meta"]["code_version"]
    for column in model["columns"]:
        assert column["description"], column
        assert column["data_type"], column
        meta = column["config"]["meta"].keys()
        assert meta == {"role"} or {"unit", "known"} <= meta <= {"unit", "known", "range", "codes"}


def test_mart__every_number_has_a_plausible_range():
    """A number without one lets a value in the wrong unit through."""
    for column in mart("clinical_features")["columns"]:
        if column["data_type"] in {"double", "bigint"}:
            low, high = column["config"]["meta"]["range"]
            assert low < high, column


@pytest.fixture
def center(tmp_path):
    """A center's dbt package whose one model may be spoilt."""

    def write(**changes):
        meta = {"unit": "U/L", "known": "at_index"}
        column = {"name": "ldh_max_u_per_l", "description": "Highest LDH.", "data_type": "double",
                  "config": {"meta": meta}} | changes  # fmt: skip
        key = {"name": "patient_id", "config": {"meta": {"role": "key"}}}
        model = {"name": "ldh_course", "columns": [key, column],
                 "config": {"meta": {"adds_to": "clinical_features"}}}  # fmt: skip
        folder = tmp_path / f"center{len(list(tmp_path.iterdir()))}"
        (folder / "models" / "labs").mkdir(parents=True)
        (folder / "models" / "labs" / "ldh.yml").write_text(yaml.safe_dump({"models": [model]}))
        return folder

    return write


def test_clinical_contract__of_a_center_has_its_columns_after_ours(center):
    """In between, a column of a center would change the order of every frame of before."""
    ours, theirs = clinical_contract(), clinical_contract(center=center())
    assert theirs.features[: len(ours.features)] == ours.features
    [added] = theirs.features[len(ours.features) :]
    assert (added.column, added.unit, added.known) == ("ldh_max_u_per_l", "U/L", Known.AT_INDEX)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"config": {}}, "mart ldh_course: column ldh_max_u_per_l does not say its unit"),
        ({"name": "mcv_fl"}, "columns mcv_fl of clinical_features are there twice"),
    ],
)
def test_clinical_contract__refuses_a_column_of_a_center(center, changes, said):
    """A column of theirs in the place of ours would feed a model something else."""
    with pytest.raises(ContractViolation, match=said):
        clinical_contract(center=center(**changes))


def test_clinical_contract__refuses_a_folder_that_adds_nothing(tmp_path):
    with pytest.raises(ContractViolation, match="has no dbt model that adds clinical columns"):
        clinical_contract(center=tmp_path)
