"""What the offline store hands back: a job that reads the lake when its result is asked for.

    evaluate -> Arrow table (+ on-demand views) -> pandas, Polars, Arrow or a saved file
    audited: reading also leaves a line in the log: which views, how many patients and columns

On-demand views are computed by Feast itself, from the Arrow table.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from feast import OnDemandFeatureView, RepoConfig
from feast.data_format import ParquetFormat
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import FileSource, SavedDatasetFileStorage
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.saved_dataset import SavedDatasetStorage

from feature_repo.home import home_of
from oncoframe.audit import AUDIT_LOG, Action, AuditLog, machine_user
from oncoframe.errors import StudyError


class LakeRetrievalJob(RetrievalJob):
    """Rows of the lake, read on demand.

    Parameters
    ----------
    evaluate
        Reads the lake; called once per result.
    versions
        Lake table -> Delta version that is read, None for a table that was never written. They
        were fixed when the job was made: later appends do not change its result.
    repo_path
        Folder that relative paths of saved datasets start from.
    full_feature_names, on_demand_feature_views, metadata
        As for every Feast job.
    """

    def __init__(
        self,
        evaluate: Callable[[], pa.Table],
        *,
        versions: dict[str, int | None],
        repo_path: Path | None,
        full_feature_names: bool = False,
        on_demand_feature_views: Sequence[OnDemandFeatureView] = (),
        metadata: RetrievalMetadata | None = None,
    ) -> None:
        self._evaluate = evaluate
        self.versions = versions
        self._repo_path = repo_path
        self._full_feature_names = full_feature_names
        self._on_demand_feature_views = list(on_demand_feature_views)
        self._metadata = metadata

    @property
    def full_feature_names(self) -> bool:
        """Whether features are named ``<view>__<feature>``."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """Views that Feast computes from the result."""
        return self._on_demand_feature_views

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """Features, keys and time span; None for a job that materialises a view."""
        return self._metadata

    def to_polars(self) -> pl.DataFrame:
        """Result as a Polars frame; vectors are shared with Arrow, not copied."""
        return pl.DataFrame(self.to_arrow())

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        del timeout  # a scan of local files is not interrupted
        return self._evaluate()

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        frame: pd.DataFrame = self._to_arrow_internal(timeout).to_pandas()
        return frame

    def to_remote_storage(self) -> list[str]:
        """Refused: the lake has no warehouse that could export files.

        Raises
        ------
        oncoframe.errors.StudyError
            Always.
        """
        raise _refused("to_remote_storage")

    def to_sql(self) -> str:
        """Refused: the lake is read by Polars, there is no SQL behind the rows.

        Raises
        ------
        oncoframe.errors.StudyError
            Always.
        """
        raise _refused("to_sql")

    def persist(
        self,
        storage: SavedDatasetStorage,
        allow_overwrite: bool = False,  # noqa: FBT001, FBT002 - Feast's signature
        timeout: int | None = None,
    ) -> None:
        """Write the result to a Parquet file.

        Raises
        ------
        oncoframe.errors.StudyError
            If the storage is not a Parquet file.
        feast.errors.SavedDatasetLocationAlreadyExists
            If the file exists and may not be replaced.
        """
        if not isinstance(storage, SavedDatasetFileStorage) or not isinstance(
            storage.file_options.file_format or ParquetFormat(), ParquetFormat
        ):
            raise StudyError(
                "a dataset is saved as a Parquet file",
                expected="SavedDatasetFileStorage with ParquetFormat",
                got=type(storage).__name__,
            )
        path = local_path(storage.file_options.uri, self._repo_path)
        if path.exists() and not allow_overwrite:
            raise SavedDatasetLocationAlreadyExists(location=str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(self.to_arrow(timeout=timeout), path)


def _refused(call: str) -> StudyError:
    return StudyError(
        "the lake has no query engine behind it that could do this", where=call,
        hint="Take to_arrow, to_polars or to_df, or write a file with persist.",
    )  # fmt: skip


def local_path(uri: str, repo_path: Path | None) -> Path:
    """Path of a saved dataset; a relative one starts at the feature repository."""
    return Path(FileSource.get_uri_for_file_path(repo_path, uri))


def audited(
    read: Callable[[], pa.Table],
    config: RepoConfig,
    *,
    features: Sequence[str],
    versions: Mapping[str, int | None],
) -> Callable[[], pa.Table]:
    """The same reading, which leaves a line in the audit log of the home.

    Parameters
    ----------
    read
        Joins the rows.
    config
        Feast's; the log is that of its home.
    features
        References, ``<view>:<feature>``.
    versions
        Lake table -> Delta version that is read.
    """
    log = AuditLog(home_of(config.offline_store.home) / AUDIT_LOG)

    def read_and_tell() -> pa.Table:
        rows = read()
        views = sorted({name.partition(":")[0] for name in features})
        log.append(
            Action.FRAME_PULLED,
            actor=machine_user(),
            subject=", ".join(views),
            details={"rows": rows.num_rows, "features": len(features), "versions": dict(versions)},
        )
        return rows

    return read_and_tell
