"""Clinical assets: Dagster glue only; the logic is SQL in ``dbt_clinical/`` and ``publish.py``.

clinical/*.csv -> clinical_db/* (dbt models in DuckDB) -> clinical_features, labels, cohort (lake)
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliInvocation, DbtCliResource, dbt_assets
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from assets.clinical.contract import clinical_contract, mart
from assets.clinical.modality import MODALITY
from assets.clinical.publish import COHORT, FEATURES, LABELS, publish, schema
from assets.clinical.rules import broken_rules, unknown_columns
from oncoframe import files
from oncoframe.lake import Lake
from orchestration.dbt import build_center, clinical_manifest
from orchestration.groups import OWNERS, group
from orchestration.inputs import clinical_input
from orchestration.metadata import contract_schema, table_schema
from orchestration.settings import Settings

#: First part of the keys of what lies in the DuckDB file; the lake tables have the plain names.
DATABASE = "clinical_db"
LANDED = "clinical_csv"
TABLES = (FEATURES, LABELS, COHORT)
#: Beside dbt's results: version of what the models in the DuckDB file were built from.
_BUILT_FROM = "input_version"


class _Translator(DagsterDbtTranslator):
    """Keys, group and owners of the dbt models."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        is_source = dbt_resource_props["resource_type"] == "source"
        return dg.AssetKey([LANDED if is_source else DATABASE, dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        del dbt_resource_props
        return group("clinical")

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        del dbt_resource_props
        return OWNERS


def _models(manifest: dict[str, Any]) -> dg.AssetsDefinition:
    @dbt_assets(manifest=manifest, name="clinical_models", dagster_dbt_translator=_Translator())
    def clinical_models(
        context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], dbt: DbtCliResource
    ) -> Iterator[Any]:
        clinical = files.join(settings.require_landing(), "clinical")
        target = settings.home / "dbt"
        results = target / "run_results.json"
        # What dbt leaves when it cannot even start must not look like this build's results.
        results.unlink(missing_ok=True)
        version = clinical_input(settings)
        with _local(clinical) as folder:
            variables = {"clinical_dir": str(folder), "clinical_db": str(settings.clinical_db)}
            build = dbt.cli(
                ["build", "--exclude-resource-type", "unit_test", "--vars", json.dumps(variables)],
                # What dagster-dbt asks of the asset context is deprecated there.
                context=context.op_execution_context,
                target_path=target,
            )
            events, error = _events(build, context)
            if error is None and settings.center is not None:
                results = settings.home / "dbt" / "center" / "run_results.json"
                error = build_center(dbt, settings.center, settings.home / "dbt", variables)
        yield from events
        if error is not None:
            if not results.exists():
                raise error
            raise broken_rules(
                json.loads(results.read_text()),
                settings.clinical_db,
                clinical=clinical,
                log=str(results.with_name("dbt.log")),
            ) from error
        (target / _BUILT_FROM).write_text(version)
        for table, columns in unknown_columns(settings.clinical_db).items():
            context.log.warning("%s.csv: nobody reads %s", table, ", ".join(columns))

    return clinical_models


def _events(
    build: DbtCliInvocation, context: dg.AssetExecutionContext
) -> tuple[list[Any], DagsterDbtCliRuntimeError | None]:
    """Dagster events of a build, and how it failed, if so; what dbt prints goes to the log."""
    events: list[Any] = []
    error = None
    with redirect_stdout(StringIO()) as printed:
        try:
            events.extend(build.stream())
        except DagsterDbtCliRuntimeError as failure:
            error = failure
    context.log.debug(printed.getvalue())
    return events, error


@contextmanager
def _local(clinical: str) -> Iterator[Path]:
    """Local folder with the clinical tables; one that does not exist where none were landed."""
    if files.exists(clinical):
        with files.local_copy(clinical) as folder:
            yield folder
    else:
        yield Path(clinical)


@dg.multi_asset(
    name="clinical_tables",
    specs=[
        dg.AssetSpec(
            table,
            deps=[[DATABASE, table]],
            group_name=group("clinical"),
            owners=OWNERS,
            kinds={*MODALITY.kinds},
            description=mart(table)["description"],
            code_version=mart(table)["config"]["meta"]["code_version"],
            metadata={
                "dagster/column_schema": contract_schema(clinical_contract())
                if table == FEATURES
                else table_schema(schema(table, clinical_contract()))
            },
        )
        for table in TABLES
    ],
)
def clinical_tables(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
) -> Iterator[dg.MaterializeResult[None]]:
    """Append to the lake what is new or changed in the clinical models."""
    now = datetime.now(tz=UTC)
    built_from = (settings.home / "dbt" / _BUILT_FROM).read_text()
    published = publish(
        settings.clinical_db, lake, run_id=context.run.run_id, now=now, center=settings.center
    )
    contract = clinical_contract(center=settings.center)
    for table, done in published.items():
        yield dg.MaterializeResult(
            asset_key=table,
            metadata={
                "dagster/row_count": done.rows,
                "columns": len(schema(table, contract)),
                "appended": done.appended,
                "delta_version": done.version,
                "hash": done.sha256,
            },
            data_version=dg.DataVersion(built_from),
        )


@dg.definitions
def defs() -> dg.Definitions:
    """The landed clinical tables, their dbt models, and the lake tables."""
    manifest = json.loads(clinical_manifest().read_text())
    landed = [
        dg.AssetSpec(
            [LANDED, source["name"]],
            group_name=group("landing"),
            owners=OWNERS,
            kinds={"csv"},
            description=source["description"],
        )
        for source in manifest["sources"].values()
    ]
    return dg.Definitions(assets=[*landed, _models(manifest), clinical_tables])
