"""Canaries: what we rely on that a library keeps to itself, said in words and tried.

our packages -> private and undocumented names in them -> a canary for each

The next version of a library may move such a name without a word. The docstring of a canary says
where we use it and what a failure means.
"""

import ast
import inspect
import json
import pkgutil
import re
import sys
import threading
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy

from orchestration.settings import PROJECT

PACKAGES = ("assets", "feature_repo", "ml", "oncoframe", "orchestration")
#: Modules without an underscore of which the documentation of their library says nothing.
UNDOCUMENTED = (
    "evidently.core",
    "evidently.legacy",
    "feast.infra",
    "feast.protos",
    "feast.type_map",
    "feast.utils",
    "mlflow.server",
    "mlflow.utils",
    "pydantic.v1",
)
#: How a class speaks of itself and its bases.
ITSELF = {"self", "cls", "super()"}
#: Names that have a canary.
WATCHED: set[str] = set()


def watches(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Name what a test is the canary of; members of a class or module follow it after spaces."""
    for name in names:
        owner, *members = name.split()
        WATCHED.update([f"{owner}.{member}" for member in members] or [owner])
    return lambda test: test


class Sources:
    """Our modules, and the names of libraries in them.

    Parameters
    ----------
    sources
        Module -> its source.
    """

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._trees = {module: ast.parse(source) for module, source in sources.items()}
        self._imports = {module: dict(_imports(tree)) for module, tree in self._trees.items()}
        self._classes = {
            f"{module}.{node.name}": (module, node)
            for module, tree in self._trees.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
        }
        self._defined = {name for tree in self._trees.values() for name in _defined(tree)}
        imported = {name for names in self._imports.values() for name in names.values()}
        self._libraries = {name.partition(".")[0] for name in imported} - {
            *PACKAGES,
            *sys.stdlib_module_names,
        }

    def hidden(self) -> dict[str, set[str]]:
        """Private or undocumented name of a library -> modules of ours that use it."""
        found = defaultdict(set)
        for module in self._trees:
            for name in {*self._imports[module].values(), *self._spelled(module)}:
                if self._is_hidden(name):
                    found[name].add(module)
            for name in self._of_others(module):
                found[name].add(module)
        for name, (module, _) in self._classes.items():
            for member in self._inherited(name):
                found[member].add(module)
        return dict(found)

    def _is_hidden(self, name: str) -> bool:
        parts = name.split(".")
        undocumented = f"{name}.".startswith(tuple(f"{module}." for module in UNDOCUMENTED))
        return parts[0] in self._libraries and (undocumented or any(map(_is_private, parts[1:])))

    def _spelled(self, module: str) -> Iterator[str]:
        """Dotted names in the code of a module, and in its texts that are nothing else."""
        for node in ast.walk(self._trees[module]):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if re.fullmatch(r"[a-z]\w*(\.\w+)+", node.value):
                    yield node.value
            elif isinstance(node, ast.Attribute):
                owner = self._origin(module, ast.unparse(node.value))
                # What is named already stands for its public members.
                if _is_private(node.attr) or not self._is_hidden(owner):
                    yield f"{owner}.{node.attr}"

    def _of_others(self, module: str) -> Iterator[str]:
        """Private members of objects in a module that no class of ours gave them."""
        for node in ast.walk(self._trees[module]):
            if isinstance(node, ast.Attribute) and _is_private(node.attr):
                name = ast.unparse(node)
                known = {*ITSELF, *self._imports[module]}
                if node.attr not in self._defined and name.partition(".")[0] not in known:
                    yield name

    def _origin(self, module: str, name: str) -> str:
        """What a name of a module is called where it comes from."""
        first, *rest = name.split(".")
        origin = self._imports.get(module, {}).get(first)
        if origin is None:
            return f"{module}.{name}"
        *path, last = origin.split(".")
        if path and path[0] in PACKAGES:
            origin = self._origin(".".join(path), last)
        return ".".join([origin, *rest])

    def _inherited(self, name: str) -> set[str]:
        """Hidden members of the libraries' classes that one of ours overrides or calls.

        Of a class that is hidden itself, every member is.
        """
        members = {m for m in _touched(self._classes[name][1]) if not m.startswith("__")}
        found = set()
        for base in self._bases(name):
            with warnings.catch_warnings():
                # Feast sets filters for everybody when it is imported.
                owner = pkgutil.resolve_name(base)
            known = {member for member in members if hasattr(owner, member)}
            # What a constructor sets shows at no class: it is what nobody here defines.
            known |= {m for m in members if _is_private(m) and m not in self._defined}
            found |= {f"{base}.{m}" for m in known if _is_private(m) or self._is_hidden(base)}
        return found

    def _bases(self, name: str) -> Iterator[str]:
        """Classes of libraries that a class of ours stands on."""
        module, node = self._classes[name]
        for base in node.bases:
            origin = self._origin(module, ast.unparse(base).partition("[")[0])
            if origin in self._classes:
                yield from self._bases(origin)
            elif origin.partition(".")[0] in self._libraries:
                yield origin


def _is_private(name: str) -> bool:
    return re.match(r"_[^_]", name) is not None


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Names that a module imports, and what they stand for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                yield alias.asname or first, alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _defined(tree: ast.AST) -> Iterator[str]:
    """Names that a module gives a meaning."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def _touched(node: ast.ClassDef) -> Iterator[str]:
    """Members that a class defines, and those that it asks itself or its bases for."""
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef):
            yield statement.name
        elif isinstance(statement, ast.Assign):
            yield from (target.id for target in statement.targets if isinstance(target, ast.Name))
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and ast.unparse(part.value) in ITSELF:
            yield part.attr


@pytest.fixture(scope="module")
def hidden() -> dict[str, set[str]]:
    """Hidden names in our packages; without torch, those of networks are not looked at."""
    files = [file for package in PACKAGES for file in (PROJECT / package).rglob("*.py")]
    if find_spec("torch") is None:
        files = [file for file in files if PROJECT / "ml" / "smears" not in file.parents]
    return Sources(
        {".".join(f.relative_to(PROJECT).with_suffix("").parts): f.read_text() for f in files}
    ).hidden()


def test_every_hidden_name__has_a_canary(hidden):
    """Without one, an upgrade that moves the name breaks something far from it."""
    assert {name: used for name, used in hidden.items() if name not in WATCHED} == {}


def test_every_canary__watches_a_name_in_use(hidden):
    """One that outlives its use holds up upgrades for nothing."""
    assert set(hidden) >= WATCHED


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from sklearn._config import get_config", "sklearn._config.get_config"),
        ("import sklearn\nsklearn.utils._bunch.Bunch()", "sklearn.utils._bunch"),
        ("import evidently\nNAME = 'evidently.legacy.utils'", "evidently.legacy.utils"),
        ("import sklearn\ndef f(model):\n    return model._fitted", "model._fitted"),
        (
            (
                "from sklearn.base import BaseEstimator as Base\n"
                "class Own(Base):\n    def _repr_html_inner(self): ..."
            ),
            "sklearn.base.BaseEstimator._repr_html_inner",
        ),
        (
            (
                "from sklearn.base import BaseEstimator\nclass Own(BaseEstimator): ...\n"
                "class Child(Own):\n    def f(self): return self._set_in_a_constructor"
            ),
            "sklearn.base.BaseEstimator._set_in_a_constructor",
        ),
    ],
    ids=["import", "attribute", "text", "object", "override", "inherited"],
)
def test_hidden__finds_a_name_however_it_is_used(source, name):
    """A use that the search does not see needs no canary."""
    assert name in Sources({"ml.planted": source}).hidden()


def test_hidden__passes_over_what_is_ours_or_documented():
    """A search that cries at everything is switched off."""
    source = """
import os
import polars as pl
from sklearn.base import BaseEstimator

class Own(BaseEstimator):
    def __init__(self):
        self._state = pl.DataFrame()

    def fit(self, other):
        self._state = other._state
        os._exit(0)
"""
    assert Sources({"ml.planted": source}).hidden() == {}


@pytest.fixture
def stored_event():
    """Event of a materialised partition."""
    import dagster as dg  # noqa: PLC0415

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["P1"]))
    def features() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([features], instance=instance, partition_key="P1").run_id
        [event] = instance.all_logs(run, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    return event


@watches(
    "dagster._core.storage.event_log.SqliteEventLogStorage",
    "dagster._core.storage.event_log.SqliteEventLogStorage"
    " _connect _initdb _initialized_dbs _db_lock conn_string_for_shard index_connection dispose",
    "dagster._core.storage.event_log.sqlite.sqlite_event_log.INDEX_SHARD_NAME",
)
def test_dagster__opens_the_databases_of_the_event_log_by_connect(tmp_path, stored_event):
    """orchestration/event_log.py overrides ``_connect(shard)`` and keeps the databases open.

    It stands on this: what stores and what reads passes through it, ``_initdb`` makes the tables,
    ``_initialized_dbs`` holds whose are made, ``_db_lock`` keeps the threads apart.
    """
    from dagster._core.storage.event_log import SqliteEventLogStorage  # noqa: PLC0415
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import (  # noqa: PLC0415
        INDEX_SHARD_NAME,
    )

    opened = []

    class Watched(SqliteEventLogStorage):
        @contextmanager
        def _connect(self, shard):
            opened.append(shard)
            with self._db_lock:
                engine = sqlalchemy.create_engine(self.conn_string_for_shard(shard))
                if shard not in self._initialized_dbs:
                    self._initdb(engine)
                    self._initialized_dbs.add(shard)
                with engine.begin() as connection:
                    yield connection
                engine.dispose()

    log = Watched(str(tmp_path))
    opened.clear()
    log.store_event(stored_event)
    assert opened == [stored_event.run_id, INDEX_SHARD_NAME]
    assert [e.timestamp for e in log.get_logs_for_run(stored_event.run_id)] == [
        stored_event.timestamp
    ]
    assert opened[2:] == [stored_event.run_id]
    with log.index_connection() as connection:
        assert isinstance(connection, sqlalchemy.Connection)
    assert opened[3:] == [INDEX_SHARD_NAME]
    log.dispose()


@watches(
    "dagster._core.storage.event_log.SqliteEventLogStorage wipe_asset_partitions",
    "dagster._core.storage.event_log.SqlEventLogStorageTable",
    "dagster._core.storage.event_log.schema.AssetKeyTable",
)
def test_dagster__cannot_wipe_a_partition_but_keeps_it_in_these_columns(tmp_path, stored_event):
    """orchestration/event_log.py deletes the rows itself; once Dagster can, it need not."""
    from dagster._core.storage.event_log import (  # noqa: PLC0415
        SqlEventLogStorageTable,
        SqliteEventLogStorage,
    )
    from dagster._core.storage.event_log.schema import AssetKeyTable  # noqa: PLC0415

    log = SqliteEventLogStorage(str(tmp_path))
    log.store_event(stored_event)
    events, keys = SqlEventLogStorageTable.c, AssetKeyTable.c
    told = sqlalchemy.select(events.asset_key, events.partition, events.dagster_event_type)
    summed = sqlalchemy.select(keys.asset_key, keys.cached_status_data)
    with log.index_connection() as connection:
        assert connection.execute(told).all() == [('["features"]', "P1", "ASSET_MATERIALIZATION")]
        assert connection.execute(summed).all() == [('["features"]', None)]
    with pytest.raises(NotImplementedError):
        log.wipe_asset_partitions(stored_event.get_dagster_event().asset_key, ["P1"])


@watches(
    "dagster._serdes.ConfigurableClassData",
    "dagster._core.storage.event_log.SqliteEventLogStorage from_config_value",
)
def test_dagster__makes_the_event_log_that_dagster_yaml_names():
    """orchestration/dagster.yaml names OpenSqliteEventLog, which ``from_config_value`` makes."""
    from dagster._serdes import ConfigurableClassData  # noqa: PLC0415

    named = ConfigurableClassData(
        "orchestration.event_log", "OpenSqliteEventLog", json.dumps({"base_dir": "runs"})
    )
    log = named.rehydrate()
    assert type(log).__name__ == "OpenSqliteEventLog"
    assert log.inst_data == named


@watches("dagster_dbt.DbtCliResource _cli_version _initialize_dbt_core_adapter")
def test_dagster_dbt__takes_two_detours_before_a_command(tmp_path):
    """orchestration/dbt.py overrides both: one asks the network, the other holds the database."""
    from dagster_dbt import DbtCliResource  # noqa: PLC0415
    from packaging.version import Version  # noqa: PLC0415

    taken = []

    class Watched(DbtCliResource):
        @cached_property
        def _cli_version(self):
            taken.append("version")
            return Version("1.11")

        def _initialize_dbt_core_adapter(self, args):
            taken.append(args[0])

    project = str(PROJECT / "dbt_clinical")
    dbt = Watched(project_dir=project, profiles_dir=project, dbt_executable="true")
    dbt.cli(["parse"], target_path=tmp_path).wait()
    assert taken == ["version", "parse"]


@watches(
    "evidently.core.container.MetricContainer",
    "evidently.core.container.MetricContainer generate_metrics render",
    "evidently.core.container.MetricOrContainer",
    "evidently.core.metric_types.MetricId",
    "evidently.core.report.Context",
    "evidently.legacy.model.widget.BaseWidgetInfo",
    "evidently.legacy.renderers.html_widgets ColumnDefinition CounterData RichTableDataRow",
    "evidently.legacy.renderers.html_widgets WidgetSize counter plotly_figure rich_table_data",
    "evidently.legacy.renderers.html_widgets table_data text_widget",
    "pydantic.v1.PrivateAttr",
)
def test_evidently__draws_the_widgets_of_a_container_of_no_metric(tmp_path):
    """ml/drift/page.py hands finished widgets of each kind to a container, a pydantic 1 model."""
    import plotly.graph_objects as go  # noqa: PLC0415
    from evidently import Dataset, Report  # noqa: PLC0415
    from evidently.core.container import MetricContainer, MetricOrContainer  # noqa: PLC0415
    from evidently.core.metric_types import Metric, MetricId  # noqa: PLC0415
    from evidently.core.report import Context  # noqa: PLC0415
    from evidently.legacy.model.widget import BaseWidgetInfo  # noqa: PLC0415
    from evidently.legacy.renderers import html_widgets as made  # noqa: PLC0415
    from pydantic.v1 import PrivateAttr  # noqa: PLC0415

    widgets = [
        made.counter(counters=[made.CounterData("verdict", "seen in a counter")], title="t"),
        made.text_widget(title="t", text="seen in a text"),
        made.table_data(title="t", column_names=["c"], data=[["seen in a table"]]),
        made.rich_table_data(
            title="t", rows_per_page=5, columns=[made.ColumnDefinition("c", "c")],
            data=[made.RichTableDataRow(fields={"c": "seen in a rich table"})],
        ),
        made.plotly_figure(
            title="t", size=made.WidgetSize.HALF, figure=go.Figure().add_bar(name="seen in a bar")
        ),
    ]  # fmt: skip
    asked = []

    class Summary(MetricContainer):
        _widgets: list[BaseWidgetInfo] = PrivateAttr(default_factory=list)

        def generate_metrics(self, context):
            asked.append(context)
            return []

        def render(self, context, child_widgets=None):
            assert child_widgets in (None, [])
            asked.append(context)
            return self._widgets

    summary = Summary(include_tests=False)
    summary._widgets = widgets  # noqa: SLF001 (its own)
    page = tmp_path / "page.html"
    Report([summary]).run(Dataset.from_pandas(pd.DataFrame({"n": [1]})), None).save_html(str(page))
    text = page.read_text()
    for seen in ("a counter", "a text", "a table", "a rich table", "a bar"):
        assert f"seen in {seen}" in text
    assert {type(context) for context in asked} == {Context}
    assert MetricOrContainer == Metric | MetricContainer
    assert inspect.isclass(MetricId) or MetricId is str


OFFLINE_STORE = "feast.infra.offline_stores.offline_store"


@watches(
    f"{OFFLINE_STORE}.OfflineStore",
    f"{OFFLINE_STORE}.OfflineStore get_historical_features pull_latest_from_table_or_query",
    f"{OFFLINE_STORE}.OfflineStore pull_all_from_table_or_query offline_write_batch",
    f"{OFFLINE_STORE}.OfflineStore supports_filter_by_created_timestamp",
    "feast.infra.registry.base_registry.BaseRegistry",
)
def test_feast__calls_an_offline_store_with_the_parameters_of_ours():
    """feature_repo/offline_store.py answers Feast's calls: a parameter it lacks stops each pull."""
    from feast.infra.offline_stores.offline_store import OfflineStore  # noqa: PLC0415
    from feast.infra.registry.base_registry import BaseRegistry  # noqa: PLC0415

    from feature_repo.offline_store import LakeOfflineStore  # noqa: PLC0415

    for method in (
        "get_historical_features",
        "pull_latest_from_table_or_query",
        "pull_all_from_table_or_query",
        "offline_write_batch",
    ):
        asked, ours = (
            list(inspect.signature(getattr(store, method)).parameters)
            for store in (OfflineStore, LakeOfflineStore)
        )
        assert ours[: len(asked)] == asked, method
    assert OfflineStore.supports_filter_by_created_timestamp is False
    registry = inspect.signature(OfflineStore.get_historical_features).parameters["registry"]
    assert registry.annotation is BaseRegistry


@watches(
    f"{OFFLINE_STORE}.RetrievalJob",
    f"{OFFLINE_STORE}.RetrievalJob _to_arrow_internal _to_df_internal to_arrow persist",
    f"{OFFLINE_STORE}.RetrievalJob full_feature_names on_demand_feature_views metadata",
    f"{OFFLINE_STORE}.RetrievalJob to_remote_storage to_sql",
    f"{OFFLINE_STORE}.RetrievalMetadata",
)
def test_feast__asks_a_retrieval_job_for_its_arrow_table():
    """feature_repo/retrieval.py defines what Feast calls inside ``to_arrow`` and ``to_df``."""
    from feast.infra.offline_stores.offline_store import (  # noqa: PLC0415
        RetrievalJob,
        RetrievalMetadata,
    )

    day = datetime(2024, 1, 1, tzinfo=UTC)

    class Job(RetrievalJob):
        full_feature_names = False
        on_demand_feature_views = ()
        metadata = RetrievalMetadata(
            features=["blood:count"], keys=["patient_id"],
            min_event_timestamp=day, max_event_timestamp=day,
        )  # fmt: skip

        def _to_arrow_internal(self, timeout=None):
            del timeout
            return pa.table({"count": [7]})

        def _to_df_internal(self, timeout=None):
            return self._to_arrow_internal(timeout).to_pandas()

    assert Job().to_arrow(timeout=3).to_pylist() == [{"count": 7}]
    assert Job().to_df()["count"].tolist() == [7]
    asked = list(inspect.signature(RetrievalJob.persist).parameters)
    assert asked == ["self", "storage", "allow_overwrite", "timeout"]
    for refused in (RetrievalJob.to_remote_storage, RetrievalJob.to_sql):
        assert list(inspect.signature(refused).parameters) == ["self"]


@watches(
    "feast.data_source.DataSource _to_proto_impl",
    "feast.protos.feast.core.DataSource_pb2.DataSource",
)
def test_feast__stores_a_source_as_it_says_and_makes_it_again_by_its_class():
    """feature_repo/lake_source.py writes its message in ``_to_proto_impl``, with its own class."""
    from feast.data_source import DataSource  # noqa: PLC0415
    from feast.protos.feast.core.DataSource_pb2 import (  # noqa: PLC0415
        DataSource as DataSourceProto,
    )

    from feature_repo.lake_source import LakeSource  # noqa: PLC0415

    message = LakeSource(table="snv_features", tags={"a": "b"}).to_proto()
    assert message.type == DataSourceProto.CUSTOM_SOURCE
    assert message.custom_options.configuration == b'{"table": "snv_features"}'
    again = DataSource.from_proto(message)
    assert isinstance(again, LakeSource)
    assert (again.table, again.tags) == ("snv_features", {"a": "b"})


@watches(
    "feast.infra.registry.file.FileRegistryStore",
    "feast.infra.registry.file.FileRegistryStore get_registry_proto",
    "feast.infra.registry.registry.REGISTRY_SCHEMA_VERSION",
    "feast.protos.feast.core.Registry_pb2.Registry",
)
def test_feast__opens_a_registry_through_the_store_that_is_named(tmp_path):
    """feature_repo/home.py answers for a file that is not there; Feast would write an empty one."""
    from feast.infra.registry.registry import REGISTRY_SCHEMA_VERSION, Registry  # noqa: PLC0415
    from feast.protos.feast.core.Registry_pb2 import Registry as RegistryProto  # noqa: PLC0415
    from feast.repo_config import RegistryConfig  # noqa: PLC0415

    from feature_repo.home import HomeRegistryStore, StoreWarning  # noqa: PLC0415

    named = f"{HomeRegistryStore.__module__}.{HomeRegistryStore.__name__}"
    config = RegistryConfig(registry_store_type=named, path=str(tmp_path / "home"))
    with pytest.warns(StoreWarning, match="nothing is registered"):
        registry = Registry("oncoframe", config, tmp_path)
    assert isinstance(registry.cached_registry_proto, RegistryProto)
    assert registry.cached_registry_proto.registry_schema_version == REGISTRY_SCHEMA_VERSION
    assert not (tmp_path / "home").exists()


@watches(
    "feast.infra.offline_stores.file_source FileSource SavedDatasetFileStorage",
)
def test_feast__keeps_a_saved_dataset_under_the_folder_of_the_repository(tmp_path):
    """feature_repo/retrieval.py and latest.py write and read the file that Feast will look for."""
    from feast.data_format import ParquetFormat  # noqa: PLC0415
    from feast.infra.offline_stores.file_source import (  # noqa: PLC0415
        FileSource,
        SavedDatasetFileStorage,
    )

    storage = SavedDatasetFileStorage("saved.parquet", ParquetFormat())
    assert storage.file_options.uri == "saved.parquet"
    assert isinstance(storage.file_options.file_format, ParquetFormat)
    assert storage.to_data_source().path == "saved.parquet"
    assert FileSource.get_uri_for_file_path(tmp_path, "a/b") == str(tmp_path / "a/b")
    assert FileSource.get_uri_for_file_path(tmp_path, "/a/b") == "/a/b"


@watches("feast.type_map.pa_to_feast_value_type")
def test_feast__knows_the_arrow_types_of_the_lake_by_their_spelling():
    """feature_repo/lake_source.py spells each type of a contract so that Feast reads it back."""
    from feast import ValueType  # noqa: PLC0415
    from feast.type_map import pa_to_feast_value_type  # noqa: PLC0415

    spelled = {
        "bool": ValueType.BOOL,
        "int64": ValueType.INT64,
        "float": ValueType.FLOAT,
        "double": ValueType.DOUBLE,
        "string": ValueType.STRING,
        "timestamp[us, tz=UTC]": ValueType.UNIX_TIMESTAMP,
        "list<element: float>": ValueType.FLOAT_LIST,
    }
    assert {text: pa_to_feast_value_type(text) for text in spelled} == spelled


@watches("feast.utils.compute_non_entity_date_range")
def test_feast__reaches_back_by_the_longest_ttl_where_no_start_is_given():
    """feature_repo/offline_store.py takes the time span of a pull without entities from it."""
    from feast import FeatureView  # noqa: PLC0415
    from feast.utils import compute_non_entity_date_range  # noqa: PLC0415

    from feature_repo.lake_source import LakeSource  # noqa: PLC0415

    end = datetime(2024, 3, 1, tzinfo=UTC)
    views = [
        FeatureView(name=f"of_{days}", source=LakeSource(table="t"), ttl=timedelta(days=days))
        for days in (2, 5)
    ]
    assert compute_non_entity_date_range(views, None, end) == (end - timedelta(days=5), end)
    assert compute_non_entity_date_range(views, end, end) == (end, end)


class _Server(BaseHTTPRequestHandler):
    """Answers one question as an MLflow server does, and knows no other."""

    def do_GET(self):
        known = self.path == "/api/2.0/mlflow/users/current"
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(
            json.dumps({"asked_by": self.headers["Authorization"]}).encode() if known else b"?"
        )

    def log_message(self, *_):
        """Nothing: the tests' output is for failures."""


@watches("mlflow.utils")
def test_mlflow__asks_a_server_what_its_client_cannot(monkeypatch):
    """ml/registry/roles.py asks so who is signed in; a server without users answers with a 404."""
    from ml.registry.tracker import mlflow  # noqa: PLC0415

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "sam")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    rest, credentials = mlflow.utils.rest_utils, mlflow.utils.credentials
    with HTTPServer(("127.0.0.1", 0), _Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = credentials.get_default_host_creds(f"http://127.0.0.1:{server.server_port}")
        known, unknown = (
            rest.http_request(host, f"/api/2.0/mlflow/users/{what}", "GET")
            for what in ("current", "unknown")
        )
        server.shutdown()
    assert rest.verify_rest_response(known, "users/current").json() == {
        "asked_by": "Basic c2FtOnNlY3JldA=="
    }
    assert unknown.status_code == 404
    with pytest.raises(mlflow.MlflowException):
        rest.verify_rest_response(unknown, "users/unknown")


@watches("mlflow.server.auth.client.AuthServiceClient")
def test_mlflow__has_a_client_of_roles_in_its_server():
    """ml/registry/roles.py gives roles with these calls; test_roles.py tries them on a server."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.server.auth.client import AuthServiceClient  # noqa: PLC0415

    calls = {
        "get_user": ("sam",),
        "list_roles": ("default",),
        "create_role": ("default", "approver"),
        "delete_role": (1,),
        "add_role_permission": (1, "registered_model", "study", "EDIT"),
        "assign_role": ("sam", 1),
        "revoke_user_permission": ("sam", "registered_model", "study"),
    }
    client = AuthServiceClient("http://127.0.0.1")
    for method, arguments in calls.items():
        inspect.signature(getattr(client, method)).bind(*arguments)


@watches("sklearn.feature_selection.SelectorMixin _get_support_mask")
def test_sklearn__takes_the_columns_of_a_selector_from_get_support_mask():
    """ml/pipelines/preprocessing.py drops rare columns by it, and names those that stay."""
    from sklearn.base import BaseEstimator  # noqa: PLC0415
    from sklearn.feature_selection import SelectorMixin  # noqa: PLC0415

    class Second(SelectorMixin, BaseEstimator):
        def fit(self, features):
            self.n_features_in_ = features.shape[1]
            return self

        def _get_support_mask(self):
            return np.array([False, True])

    features = np.array([[1.0, 2.0]])
    selector = Second().fit(features)
    assert selector.transform(features).tolist() == [[2.0]]
    assert selector.get_feature_names_out(["a", "b"]).tolist() == ["b"]


@watches("sklearn.tree._tree.Tree", "sklearn.utils._bunch.Bunch")
def test_sklearn__keeps_these_classes_in_a_fitted_model():
    """ml/serving/model.py lets skops load them by name; moved, no saved model can be read."""
    import skops.io  # noqa: PLC0415
    from sklearn.ensemble import VotingClassifier  # noqa: PLC0415
    from sklearn.tree import DecisionTreeClassifier  # noqa: PLC0415

    x, y = np.array([[0.0], [1.0]]), ["a", "b"]
    model = VotingClassifier([("tree", DecisionTreeClassifier())], voting="soft").fit(x, y)
    untrusted = set(skops.io.get_untrusted_types(data=skops.io.dumps(model)))
    assert untrusted >= {"sklearn.tree._tree.Tree", "sklearn.utils._bunch.Bunch"}
