"""The feature repository: contract, lake and registry agree, and Feast's tools work on it."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from feast import FeatureService, FeatureStore
from feast.errors import FeatureServiceNotFoundException, FeatureViewNotFoundException

from assets.clinical.contract import clinical_contract
from assets.genomics.fusion import reader as fusion
from assets.store.catalog import service_contracts, services
from feature_repo.client import apply, open_store, training_rows
from feature_repo.dtypes import polars_type
from feature_repo.home import REPOSITORY, StoreWarning, home_of
from feature_repo.services import SERVICES
from feature_repo.views import VIEWS, feature_view
from oncoframe.contracts import KEY_COLUMNS, PROVENANCE_COLUMNS, WITHDRAWN, Contract, Feature, Known
from oncoframe.errors import ContractViolation, SettingsError, StudyError
from oncoframe.lake import Lake
from oncoframe.modalities import assays, feature_contracts

CONTRACTS = feature_contracts()
OUTCOMES = ["clinical_features_outcomes"]
WHEN = datetime(2024, 1, 1, tzinfo=UTC)
ENTITIES = pl.DataFrame({"patient_id": ["P1"], "event_timestamp": [WHEN]})


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


def fields_of(store, contract):
    """Fields of both views of a table."""
    return [
        field
        for view in store.list_feature_views()
        if view.batch_source.name == contract.table
        for field in view.features
    ]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.table)
def test_registry__says_what_contract_and_lake_say(store, tmp_path, contract):
    """A column that one of them does not know, or of another type, is read as null for ever."""
    lake = Lake(tmp_path / "lake")
    lake.append_features(contract, row_of(contract))

    view = store.get_feature_view(contract.table)

    registered = {field.name: polars_type(field.dtype) for field in fields_of(store, contract)}
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
    fields = {field.name: field for field in fields_of(store, contract)}
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
    old, theirs = (VIEWS[0].with_name(name) for name in ("features_of_2019", "of_the_center"))
    old.name, theirs.name, theirs.tags = "features_of_2019", "of_the_center", {"owner": "center"}
    mine = FeatureService(name="mine", features=[theirs])
    store.apply([old, theirs, mine])
    assert "features_of_2019" in {view.name for view in store.list_feature_views()}

    store = apply(home)

    def described():
        views = sorted(store.list_feature_views(), key=lambda view: view.name)
        return [(view.name, view.features, view.source, view.version) for view in views]

    before = described()
    ours = [contract.table for contract in CONTRACTS]
    assert [name for name, *_ in before] == sorted([*ours, *OUTCOMES, "of_the_center"])
    assert store.get_feature_service("mine").name == "mine"
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


def test_feast_apply__works_on_a_fresh_clone(tmp_path, monkeypatch):
    """Paths of the store file start at its own folder, and no folder exists yet."""
    clone = tmp_path / "clone"
    (clone / "feature_repo").mkdir(parents=True)
    for source in (*REPOSITORY.glob("*.py"), *REPOSITORY.glob("feature_store.yaml")):
        (clone / "feature_repo" / source.name).write_bytes(source.read_bytes())
    ignored = (REPOSITORY / ".feastignore").read_bytes()
    (clone / "feature_repo" / ".feastignore").write_bytes(ignored)
    feast = Path(sys.executable).with_name("feast")
    environment = {k: v for k, v in os.environ.items() if k != "ONCOFRAME_HOME"}

    done = subprocess.run(
        [feast, "-c", "feature_repo", "apply"],
        cwd=clone, capture_output=True, text=True, check=False, timeout=300,
        env={**environment, "PYTHONPATH": str(clone)},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert (clone / ".oncoframe" / "feast_registry.db").is_file()
    lake = Lake(clone / ".oncoframe" / "lake")
    lake.append_features(fusion.CONTRACT, row_of(fusion.CONTRACT, fusion_count=3))
    monkeypatch.setenv("ONCOFRAME_HOME", str(clone / ".oncoframe"))
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


def test_registry__says_who_answers_for_what(store):
    """In Feast's UI a view without owner and description is nobody's."""
    declared = [store.get_entity("patient"), *store.list_feature_views()]
    for one in (*declared, *store.list_feature_services()):
        assert one.owner == "data-engineering", one.name
        assert len(one.description.split()) > 3, one.name
        assert one.tags["managed_by"] == "oncoframe", one.name


def test_outcomes__live_in_a_view_of_their_own(store):
    """An on-demand view over all clinical columns would see who died."""
    for view in store.list_feature_views():
        known = {field.tags["known"] for field in view.features}
        assert known == {view.tags["known"]}, view.name
    outcomes = store.get_feature_view(OUTCOMES[0])
    assert "overall_survival_days" in {field.name for field in outcomes.features}
    assert not any(
        view.name in OUTCOMES
        for service in store.list_feature_services()
        for view in service.feature_view_projections
    )


@pytest.fixture
def followed(home):
    """Store of a home with one patient, diagnosed in 2024, whose follow-up came in 2026."""
    clinical = clinical_contract()
    row = row_of(
        clinical,
        age_at_diagnosis_years=61.0,
        vital_status="dead",
        created_timestamp=WHEN.replace(year=2026),
    )
    Lake(home / "lake").append_features(clinical, row)
    return apply(home)


def outcome(store, as_of, **columns):
    entities = pl.DataFrame({"patient_id": ["P1"], "event_timestamp": [as_of], **columns})
    job = store.get_historical_features(entities, [f"{OUTCOMES[0]}:vital_status"])
    return job.to_polars()["vital_status"].to_list()


def test_outcomes__are_refused_as_of_a_time_before_they_were_known(followed):
    """Survival at the index date scores perfectly; known_by cannot make it known then."""
    today = datetime(2027, 1, 1, tzinfo=UTC)
    assert outcome(followed, today) == ["dead"]
    with pytest.raises(StudyError, match="1 of 1 rows ask for outcomes as of a time at which nob"):
        outcome(followed, WHEN, known_by=[today])
    with pytest.warns(StoreWarning, match="learned .created_timestamp. later"):
        assert outcome(followed, WHEN) == [None]


@pytest.mark.parametrize(
    ("ask", "error", "near"),
    [
        (lambda s: s.get_feature_service("aml_who_class"), FeatureServiceNotFoundException,
         "aml_who_class resembles aml_who_class_v"),
        (lambda s: s.get_feature_view("fusion_feature"), FeatureViewNotFoundException,
         "fusion_feature resembles fusion_features"),
        (lambda s: s.get_historical_features(ENTITIES, ["fusion_features:fusion_cout"]), KeyError,
         "fusion_cout resembles fusion_count"),
        (lambda s: s.get_online_features(["fusion:fusion_count"], [{"patient_id": "P1"}]),
         FeatureViewNotFoundException, "fusion resembles fusion_features"),
    ],
)  # fmt: skip
def test_misspelt_name__is_answered_with_the_nearest(store, ask, error, near):
    """A service has 800 columns; nobody finds the right letter in a list of them."""
    with pytest.raises(error) as refused:
        ask(store)
    assert near in " ".join(refused.value.__notes__)


def test_plain_feast__opens_the_home_of_the_environment(tmp_path, monkeypatch):
    """What `oncoframe` fills is what Feast's own commands and notebooks must read."""
    home = tmp_path / "elsewhere"
    Lake(home / "lake").append_features(fusion.CONTRACT, row_of(fusion.CONTRACT, fusion_count=3))
    apply(home)
    monkeypatch.setenv("ONCOFRAME_HOME", str(home))

    plain = FeatureStore(repo_path=str(REPOSITORY))

    assert plain.get_feature_view(fusion.CONTRACT.table).tags["managed_by"] == "oncoframe"
    entities = pd.DataFrame({"patient_id": ["P1"], "event_timestamp": [WHEN]})
    got = plain.get_historical_features(entities, ["fusion_features:fusion_count"]).to_df()
    assert got["fusion_count"].to_list() == [3]
    plain.materialize_incremental(datetime.now(UTC), ["fusion_features"])
    assert (home / "feast_online.db").is_file()
    asked = ["fusion_features:fusion_count"], [{"patient_id": "P1"}]
    assert open_store(home).get_online_features(*asked).to_dict()["fusion_count"] == [3]


def test_opening__makes_nothing(tmp_path, monkeypatch):
    """A misspelt home would look like one that holds nothing."""
    monkeypatch.setenv("ONCOFRAME_HOME", str(tmp_path / "typo"))
    with pytest.warns(StoreWarning, match=r"typo: nothing is registered .* oncoframe run"):
        assert FeatureStore(repo_path=str(REPOSITORY)).list_feature_views() == []
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("text", ["", "${ONCOFRAME_HOME}"])
def test_home_of__nothing_is_beside_the_repository(text):
    """``ONCOFRAME_HOME= feast apply`` must not write into the root of the disk."""
    assert home_of(text) == REPOSITORY.parent / ".oncoframe"


def test_home_of__a_relative_path_is_refused():
    """`feast apply` changes the working folder first: the home would be made in feature_repo."""
    with pytest.raises(SettingsError, match=r"whole path.*got \.oncoframe.*\$PWD/\.oncoframe"):
        home_of(".oncoframe")


@pytest.mark.parametrize("call", ["to_remote_storage", "to_sql"])
def test_retrieval_job__refuses_what_needs_a_warehouse(followed, call):
    """Feast's default is a NotImplementedError without a word."""
    entities = pl.DataFrame({"patient_id": ["P1"], "event_timestamp": [WHEN]})
    job = followed.get_historical_features(entities, ["clinical_features:sex"])
    with pytest.raises(StudyError, match=f"{call}: .* no query engine .* to_arrow"):
        getattr(job, call)()


@pytest.mark.usefixtures("followed")
def test_first_pull__takes_a_process_less_than_three_seconds(home):
    """Feast's own import takes four; a notebook that waits is closed."""
    program = (
        "import resource, sys\n"
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n"
        "import polars as pl\n"
        "from feature_repo.client import open_store, training_rows\n"
        "asked = {'patient_id': ['P1'], 'event_timestamp': [datetime(2027, 1, 1, tzinfo=UTC)]}\n"
        "store = open_store(Path(sys.argv[1]))\n"
        "assert training_rows(store, 'aml_who_class_v2', pl.DataFrame(asked)).num_columns > 400\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(used.ru_utime + used.ru_stime)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, home], capture_output=True, text=True, check=True
    )
    # Time of the processor: that of the clock depends on what else the machine does.
    assert float(done.stdout) < 3
