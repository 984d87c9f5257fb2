"""What a stage of whole tables is made from: one version, recorded as Dagster's data version.

clinical CSVs and SQL, feature tables and rules, contracts and services -> input_version -> current?

The asset itself records the version of what it read; a run asks whether that is still what lies
there. Patients' files are asked one by one, in :mod:`orchestration.patients.staleness`.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

import dagster as dg

from assets.biomarkers import publish
from assets.biomarkers.contract import CONTRACT as BIOMARKERS
from assets.store.catalog import contracts, services
from oncoframe import files
from oncoframe.lake import Lake
from orchestration.settings import PROJECT, Settings

#: Version of how views and services are made of contracts; another one is registered again.
_VIEWS = 2


def clinical_input(settings: Settings) -> str:
    """Version of the landed clinical tables and of the models that read them."""
    clinical = files.join(settings.require_landing(), "clinical")
    sources = [
        path
        for folder in (PROJECT / "dbt_clinical", settings.center)
        if folder is not None
        for path in sorted(folder.rglob("*"))
        if path.suffix in {".sql", ".yml", ".csv"}
        and "target" not in path.relative_to(folder).parts
    ]
    landed = files.sha256(clinical) if files.exists(clinical) else ""
    return _hash(landed + "".join(files.local_sha256(path) for path in sources))


def biomarkers_input(lake: Lake) -> str:
    """Version of the tables that biomarkers rest on, and of their rules."""
    return _hash(repr((publish.versions(lake), BIOMARKERS.code_version)))


def registry_input(center: Path | None) -> str:
    """Version of all feature tables and services, as the feature store registers them."""
    return _hash(repr((contracts(center), services(), _VIEWS)))


def feature_versions(lake: Lake) -> dict[str, int | None]:
    """Feature table -> Delta version, None for a table that was never written."""
    return {c.table: lake.version(c.table) for c in contracts()}


def online_input(versions: Mapping[str, int | None], center: Path | None) -> str:
    """Version of the feature tables and views that online values are made from."""
    return _hash(repr((sorted(versions.items()), registry_input(center))))


def made_from(instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey], version: str) -> bool:
    """Whether each asset was last made from this version of its input."""
    return all(_recorded(instance, key) == version for key in keys)


def _recorded(instance: dg.DagsterInstance, key: dg.AssetKey) -> str | None:
    event = instance.get_latest_materialization_event(key)
    if event is None or event.asset_materialization is None:
        return None
    return (event.asset_materialization.tags or {}).get("dagster/data_version")


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
