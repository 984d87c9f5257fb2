"""dbt as Dagster runs it: offline, from this environment, on a manifest that follows the SQL.

dbt_clinical/*.sql, *.yml -> clinical_manifest -> Dagster assets -> clinical_dbt -> DuckDB file

What the SQL says is in ``dbt_clinical/``; where files are, the assets pass as dbt variables.
"""

import sys
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dagster_dbt import DbtCliResource
from filelock import FileLock
from packaging.version import Version

from orchestration.settings import PROJECT

DBT_PROJECT = PROJECT / "dbt_clinical"
_STAMP = "manifest.sha256"


class OfflineDbt(DbtCliResource):
    """dbt without the two detours that dagster-dbt takes before each command.

    ``dbt --version`` asks the package index over the network, and an adapter inside the Dagster
    process, for column statistics that nothing here asks for, costs 2 s and holds the database.
    """

    @cached_property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Any) -> None:  # type: ignore[override]
        del args


def clinical_dbt() -> OfflineDbt:
    """The dbt command of this environment, whether or not it is on the PATH."""
    return OfflineDbt(
        project_dir=str(DBT_PROJECT),
        profiles_dir=str(DBT_PROJECT),
        dbt_executable=str(Path(sys.executable).with_name("dbt")),
    )


def clinical_manifest() -> Path:
    """Path of dbt's manifest of the clinical project, parsed again only when that changed."""
    target = DBT_PROJECT / "target"
    manifest, stamp = target / "manifest.json", target / _STAMP
    target.mkdir(exist_ok=True)
    with FileLock(target / "manifest.lock"):
        wanted = _project_sha256()
        if not (manifest.exists() and stamp.exists() and stamp.read_text() == wanted):
            clinical_dbt().cli(["parse", "--quiet"], target_path=target).wait()
            stamp.write_text(wanted)
    return manifest


def _project_sha256() -> str:
    digest = sha256(version("dbt-core").encode() + version("dbt-duckdb").encode())
    for path in sorted(DBT_PROJECT.rglob("*")):
        if path.suffix in {".sql", ".yml"} and "target" not in path.relative_to(DBT_PROJECT).parts:
            digest.update(path.relative_to(DBT_PROJECT).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
