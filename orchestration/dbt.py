"""dbt as Dagster runs it: offline, from this environment, on a manifest that follows the SQL.

dbt_clinical/*.sql, *.yml -> clinical_manifest -> Dagster assets -> clinical_dbt -> DuckDB file
<home>/clinical/ (a center's package) -> build_center -> the same DuckDB file

What the SQL says is in ``dbt_clinical/``; where files are, the assets pass as dbt variables.
"""

import json
import sys
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from dagster_dbt import DbtCliResource
from dagster_dbt.errors import DagsterDbtCliRuntimeError
from filelock import FileLock
from packaging.version import Version

from oncoframe.errors import SettingsError
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


def build_center(
    dbt: DbtCliResource, center: Path, target: Path, variables: dict[str, str]
) -> DagsterDbtCliRuntimeError | None:
    """Build a center's dbt package beside ours, into the same file; returns how it failed, if so.

    The package sees our models and macros. Its models are no assets of their own, because what
    Dagster knows is the same in every home; their columns are part of ``clinical_features``.

    Parameters
    ----------
    dbt
        The command.
    center
        Folder of the package.
    target
        Where dbt's results go, in ``center``.
    variables
        As for the build of ours.

    Raises
    ------
    SettingsError
        If the folder is no dbt package.
    """
    name = _package(center)
    packages = target / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    for old in packages.iterdir():
        old.unlink()
    (packages / name).symlink_to(center)
    results = target / "center" / "run_results.json"
    results.unlink(missing_ok=True)
    said = json.dumps({**variables, "packages": str(packages)})
    arguments = [
        "build", "--select", f"package:{name}", "--exclude-resource-type", "unit_test",
        "--vars", said,
    ]  # fmt: skip
    try:
        dbt.cli(arguments, target_path=target / "center").wait()
    except DagsterDbtCliRuntimeError as error:
        if not results.exists():
            raise
        return error
    return None


def _package(center: Path) -> str:
    file = center / "dbt_project.yml"
    said = yaml.safe_load(file.read_text()) if file.is_file() else None
    if not isinstance(said, dict) or not isinstance(said.get("name"), str):
        raise SettingsError(
            "the folder of the center's clinical columns is no dbt package",
            where=str(center),
            expected="dbt_project.yml with a name",
        )
    return str(said["name"])


def _project_sha256() -> str:
    digest = sha256(version("dbt-core").encode() + version("dbt-duckdb").encode())
    for path in sorted(DBT_PROJECT.rglob("*")):
        if path.suffix in {".sql", ".yml"} and "target" not in path.relative_to(DBT_PROJECT).parts:
            digest.update(path.relative_to(DBT_PROJECT).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
