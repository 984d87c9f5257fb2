"""The feature repository: contract, lake and registry agree, and Feast's tools work on it."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from feast import FeatureStore

from assets.clinical.contract import clinical_contract
from assets.genomics.fusion import reader as fusion
from assets.store.catalog import service_contracts, services
from feature_repo.client import REPOSITORY, apply, open_store, training_rows
from feature_repo.dtypes import polars_type
from feature_repo.services import SERVICES
from feature_repo.views import VIEWS, feature_view
from oncoframe.contracts import KEY_COLUMNS, PROVENANCE_COLUMNS, WITHDRAWN, Contract, Feature, Known
from oncoframe.errors import ContractViolation
from oncoframe.lake import Lake
from oncoframe.modalities import assays, feature_contracts

CONTRACTS = feature_contracts()
WHEN = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return apply(tmp_path_factory.mktemp("repository") / "home")


def row_of(contract, **values):
    schema = contract.schema()
    known = {
        "patient_id": "P1",
        "event_timestamp": WHEN,
        "created_timestamp": WHEN,
        contract.performed_column: True,
        **dict.fromkeys(PROVENANCE_COLUMNS, "x"),
        **values,
    }
    return pl.DataFrame({name: [known.get(name)] for name in schema}, schema=schema)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.table)
def test_registry__says_what_contract_and_lake_say(store, tmp_path, contract):
    """A column that one of them does not know, or of another type, is read as null for ever."""
    lake = Lake(tmp_path / "lake")
    lake.append_features(contract, row_of(contract))

    view = store.get_feature_view(contract.table)

    registered = {field.name: polars_type(field.dtype) for field in view.features}
    declared = {
        name: dtype
        for name, dtype in contract.schema().items()
        if name not in {*KEY_COLUMNS, *PROVENANCE_COLUMNS, WITHDRAWN}
    }
    assert registered == declared
    assert dict(lake.scan(contract.table).collect_schema()) == contract.schema()
    assert [(column.name, column.dtype.name) for column in view.entity_columns] == [
        ("patient_id", "STRING")
    ]
    assert view.description == contract.description


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.table)
def test_registry__keeps_what_a_column_means(store, contract):
    """Without unit and known, a data scientist cannot tell a finding from an outcome."""
    fields = {field.name: field for field in store.get_feature_view(contract.table).features}
    for feature in contract.features:
        field = fields[feature.column]
        assert field.description == feature.description
        assert field.tags == {
            "feature": feature.name,
            "unit": feature.unit,
            "known": feature.known.value,
            "kind": "scalar",
        }
    for block in contract.blocks:
        tags = fields[block.name].tags
        assert (tags["kind"], tags["axis"], tags["unit"]) == ("block", block.axis, block.unit)
        assert str(float(tags["fill"])) == str(block.fill)
    assert fields[contract.performed_column].tags["kind"] == "performed"


def test_service__holds_every_column_known_at_index_and_no_other(store):
    """Survival in a diagnosis model scores perfectly and is worth nothing."""
    service = store.get_feature_service("aml_who_class_v1")
    served = {
        (projection.name, field.name)
        for projection in service.feature_view_projections
        for field in projection.features
    }

    early = {
        (contract.table, column)
        for contract in service_contracts("aml_who_class_v1")
        for column in (
            contract.performed_column,
            *(f.column for f in contract.features if f.known == Known.AT_INDEX),
            *(block.name for block in contract.blocks if block.known == Known.AT_INDEX),
        )
    }
    assert served == early
    late = {f.column for f in clinical_contract().features if f.known == Known.AFTER_INDEX}
    assert "overall_survival_days" in late


def test_services__are_those_of_the_studies_and_one_per_assay(store):
    """A study on a new modality would have to wait for somebody to edit the catalogue."""
    registered = {
        service.name: {view.name for view in service.feature_view_projections}
        for service in store.list_feature_services()
    }
    assert registered.keys() == services().keys()
    for name, assay in assays().items():
        assert registered[f"{name}_v1"] == {assay.contract.table, "clinical_features"}


def test_apply__twice_changes_nothing_and_removes_what_is_gone(home):
    """A view left behind keeps serving a table that nobody writes."""
    store = apply(home)
    old = VIEWS[0].with_name("features_of_2019")
    old.name = "features_of_2019"
    store.apply([old])
    assert "features_of_2019" in {view.name for view in store.list_feature_views()}

    store = apply(home)

    def described():
        views = sorted(store.list_feature_views(), key=lambda view: view.name)
        return [(view.name, view.features, view.source, view.version) for view in views]

    before = described()
    assert [name for name, *_ in before] == sorted(contract.table for contract in CONTRACTS)
    store = apply(home)
    assert described() == before


def test_training_rows__are_the_service_as_of_the_entity_rows(home):
    """What a study asks for: a header-only fusion file is a negative, no row is not measured."""
    lake = Lake(home / "lake")
    table = fusion.CONTRACT.table
    first = lake.append_features(fusion.CONTRACT, row_of(fusion.CONTRACT, fusion_count=0))
    lake.append_features(
        fusion.CONTRACT,
        row_of(fusion.CONTRACT, fusion_count=3, created_timestamp=WHEN.replace(year=2025)),
    )
    apply(home)
    entities = pl.DataFrame(
        {
            "patient_id": ["P2", "P1"],
            "event_timestamp": [WHEN] * 2,
            "known_by": [WHEN.replace(year=2026)] * 2,
        }
    )

    columns = ["patient_id", f"{table}__fusion_performed", f"{table}__fusion_count"]
    now = pl.DataFrame(training_rows(open_store(home), "aml_who_class_v1", entities))
    then = pl.DataFrame(
        training_rows(open_store(home, versions={table: first}), "aml_who_class_v1", entities)
    )

    assert now.select(columns).rows() == [("P2", None, None), ("P1", True, 3)]
    assert then.select(columns).rows() == [("P2", None, None), ("P1", True, 0)]
    assert f"{clinical_contract().table}__overall_survival_days" not in now.columns


def test_feature_view__refuses_a_type_that_feast_would_change():
    """An eight-bit count read back as 32 bits no longer fits its own table."""
    tiny = Contract("tiny", "tiny", "", "1", (Feature("count", pl.Int8(), "1", "cells"),))
    with pytest.raises(ContractViolation, match=r"a type that Feast cannot hold.*got Int8"):
        feature_view(tiny)


def test_source__refuses_a_table_that_is_no_feature_table(home):
    """Without a created time, every value would count as known from the start."""
    store = apply(home)
    source = store.get_feature_view(fusion.CONTRACT.table).batch_source
    source.validate(store.config)
    rows = row_of(fusion.CONTRACT).drop("created_timestamp")
    Lake(home / "lake").append(fusion.CONTRACT.table, rows)
    with pytest.raises(ContractViolation, match="no column created_timestamp"):
        source.validate(store.config)


def test_feast_apply__works_on_a_fresh_clone(tmp_path):
    """Paths of the store file start at its own folder, and no folder exists yet."""
    clone = tmp_path / "clone"
    (clone / "feature_repo").mkdir(parents=True)
    for source in (*REPOSITORY.glob("*.py"), *REPOSITORY.glob("feature_store.yaml")):
        (clone / "feature_repo" / source.name).write_bytes(source.read_bytes())
    ignored = (REPOSITORY / ".feastignore").read_bytes()
    (clone / "feature_repo" / ".feastignore").write_bytes(ignored)
    feast = Path(sys.executable).with_name("feast")

    done = subprocess.run(
        [feast, "-c", "feature_repo", "apply"],
        cwd=clone, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert (clone / ".oncoframe" / "feast_registry.db").is_file()
    lake = Lake(clone / ".oncoframe" / "lake")
    lake.append_features(fusion.CONTRACT, row_of(fusion.CONTRACT, fusion_count=3))
    plain = FeatureStore(repo_path=str(clone / "feature_repo"))
    entities = pd.DataFrame({"patient_id": ["P1"], "event_timestamp": [WHEN]})
    [declared] = [service for service in SERVICES if service.name == "aml_who_class_v1"]
    for service in (declared, plain.get_feature_service("aml_who_class_v1")):
        got = plain.get_historical_features(entities, service, full_feature_names=True).to_df()
        assert got["fusion_features__fusion_count"].to_list() == [3]


def test_feastignore__names_every_module_but_repo():
    """A module that Feast reads by its path as well defines each of its views twice."""
    lines = (REPOSITORY / ".feastignore").read_text().splitlines()
    ignored = {line for line in lines if not line.startswith("#")}
    modules = {path.name for path in REPOSITORY.glob("*.py")} - {"__init__.py"}
    assert modules - ignored == {"repo.py"}
