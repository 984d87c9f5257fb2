"""The feature store of a home: register our definitions, open it, pull rows.

    home -> apply -> open_store -> training_rows

``feature_store.yaml`` says how the store works, a home says where it keeps its files; plain Feast
(``FeatureStore(repo_path="feature_repo")``) reads the home ``.oncoframe`` beside this folder.

Feast takes seconds to import, so each function imports it when it is called: naming this module
in an asset costs nothing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import yaml

from oncoframe.audit import AUDIT_LOG
from oncoframe.errors import SettingsError, StudyError

if TYPE_CHECKING:
    from feast import FeatureStore

REPOSITORY = Path(__file__).resolve().parent
#: File of that name in a home: sections that replace those of the repository.
OVERRIDES = "feature_store.yaml"


def apply(home: Path, center: Path | None = None) -> "FeatureStore":
    """Register entity, views and services in a home, and return its feature store.

    ``center`` is the folder of a center's own clinical columns, if it has some.

    What is registered but no longer declared is removed; doing it again changes nothing.
    """
    from feature_repo.entities import PATIENT  # noqa: PLC0415
    from feature_repo.services import declared_services  # noqa: PLC0415
    from feature_repo.views import declared_views  # noqa: PLC0415

    home.mkdir(parents=True, exist_ok=True)
    store = open_store(home)
    views = declared_views(center)
    objects: list[Any] = [PATIENT, *views, *declared_services(views, center)]
    declared = {declaration.name for declaration in objects}
    registered: list[Any] = [*store.list_feature_services(), *store.list_feature_views()]
    gone = [old for old in registered if old.name not in declared]
    store.apply(objects, objects_to_delete=gone, partial=False)
    return store


def open_store(home: Path, *, versions: Mapping[str, int | None] | None = None) -> "FeatureStore":
    """Feature store whose registry, online store and lake are those of a home.

    A file ``feature_store.yaml`` in the home may hold a section ``online_store`` of its own, for
    example Redis; everything else is as in the repository.

    Parameters
    ----------
    versions
        Lake table -> Delta version to read instead of the newest, None for a table to be read as
        never written.

    Raises
    ------
    oncoframe.errors.SettingsError
        If the home's file is no YAML, or holds something else than ``online_store``.
    """
    from feast import FeatureStore, RepoConfig  # noqa: PLC0415

    settings: dict[str, Any] = yaml.safe_load((REPOSITORY / "feature_store.yaml").read_text())
    home = home.resolve()
    settings["registry"] = str(home / Path(settings["registry"]).name)
    settings["online_store"]["path"] = str(home / Path(settings["online_store"]["path"]).name)
    settings |= _overrides(home / OVERRIDES)
    settings["offline_store"]["lake"] = str(home / "lake")
    settings["offline_store"]["audit"] = str(home / AUDIT_LOG)
    settings["offline_store"]["versions"] = dict(versions or {})
    return FeatureStore(config=RepoConfig(repo_path=REPOSITORY, **settings))


def _overrides(file: Path) -> dict[str, Any]:
    """Sections of a home's own file; none if there is no file."""
    if not file.is_file():
        return {}
    try:
        sections = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise SettingsError("the file is not YAML", where=str(file)) from error
    if not isinstance(sections, dict) or list(sections) != ["online_store"]:
        raise SettingsError(
            "a home decides on its online store only",
            where=str(file),
            expected="one section, online_store",
        )
    return sections


def training_rows(store: "FeatureStore", service: str, entities: pl.DataFrame) -> pa.Table:
    """Entity rows with the features of a service.

    Parameters
    ----------
    entities : (n) frame
        ``patient_id``, ``event_timestamp`` (as-of), optionally ``known_by``, and anything else.

    Returns
    -------
    (n) Arrow table: the columns of ``entities``, then ``<view>__<column>``.

    Raises
    ------
    oncoframe.errors.StudyError
        If the service was never registered.
    """
    from feast.errors import FeatureServiceNotFoundException  # noqa: PLC0415

    try:
        projections = store.get_feature_service(service, allow_cache=True).feature_view_projections
    except FeatureServiceNotFoundException as error:
        raise StudyError(
            f"the feature store has no service {service}",
            hint="Register what is declared: oncoframe run.",
        ) from error
    rows: Any = entities  # Feast passes on any frame, though its annotation says pandas
    return store.get_historical_features(
        entity_df=rows,
        # References instead of the service itself, which Feast would read and compare once more.
        features=[f"{view.name_to_use()}:{f.name}" for view in projections for f in view.features],
        full_feature_names=True,
    ).to_arrow()
