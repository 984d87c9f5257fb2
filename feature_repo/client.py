"""The feature store of a home: register our definitions, open it, pull rows.

    home -> apply -> open_store -> training_rows

``feature_store.yaml`` says how the store works, a home says where it keeps its files. Plain Feast
(``FeatureStore(repo_path="feature_repo")``) opens the home that ``ONCOFRAME_HOME`` names.

Feast takes a second to import, so each function imports it when it is called: naming this module
in an asset costs nothing.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import yaml

from feature_repo.quick_import import import_feast
from oncoframe.errors import StudyError

if TYPE_CHECKING:
    from feast import FeatureStore


def apply(home: Path, center: Path | None = None) -> "FeatureStore":
    """Register entity, views and services in a home, and return its feature store.

    ``center`` is the folder of a center's own clinical columns, if it has some.

    What we registered once and declare no longer is removed; what somebody else registered stays.
    Doing it again changes nothing.
    """
    import_feast()
    from feature_repo.entities import OURS, PATIENT  # noqa: PLC0415
    from feature_repo.home import StoreWarning  # noqa: PLC0415
    from feature_repo.services import declared_services  # noqa: PLC0415
    from feature_repo.views import declared_views  # noqa: PLC0415

    home.mkdir(parents=True, exist_ok=True)
    store = open_store(home)
    views = declared_views(center)
    objects: list[Any] = [PATIENT, *views, *declared_services(views, center)]
    declared = {declaration.name for declaration in objects}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)  # that nothing is registered yet
        registered: list[Any] = [
            *store.list_feature_services(tags=OURS),
            *store.list_feature_views(tags=OURS),
        ]
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
    import_feast()
    from feast import RepoConfig  # noqa: PLC0415

    from feature_repo.home import REPOSITORY, VARIABLE  # noqa: PLC0415
    from feature_repo.naming_store import NamingStore  # noqa: PLC0415

    text = (REPOSITORY / "feature_store.yaml").read_text()
    settings: dict[str, Any] = yaml.safe_load(text.replace(VARIABLE, str(home.resolve())))
    settings["offline_store"]["versions"] = dict(versions or {})
    return NamingStore(config=RepoConfig(repo_path=REPOSITORY, **settings))


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

    from feature_repo.home import StoreWarning  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StoreWarning)  # the error says it
            found = store.get_feature_service(service, allow_cache=True)
    except FeatureServiceNotFoundException as error:
        raise StudyError(
            f"the feature store has no service {service}",
            hint="Register what is declared: oncoframe run.",
        ) from error
    rows: Any = entities  # Feast passes on any frame, though its annotation says pandas
    return store.get_historical_features(
        entity_df=rows,
        # References instead of the service itself, which Feast would read and compare once more.
        features=[
            f"{view.name_to_use()}:{f.name}"
            for view in found.feature_view_projections
            for f in view.features
        ],
        full_feature_names=True,
    ).to_arrow()
