"""Pulls of features, written into the audit log of the home when they are read.

get_historical_features -> join -> rows, and a line: which views, how many patients and columns
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from feast import RepoConfig

from oncoframe.audit import Action, AuditLog, machine_user


def audited(
    read: Callable[[], pa.Table],
    config: RepoConfig,
    *,
    features: Sequence[str],
    versions: Mapping[str, int | None],
) -> Callable[[], pa.Table]:
    """The same reading, which leaves a line in the log that the configuration names.

    Parameters
    ----------
    read
        Joins the rows.
    config
        Feast's; without ``audit`` in its section ``offline_store`` nothing is written.
    features
        References, ``<view>:<feature>``.
    versions
        Lake table -> Delta version that is read.
    """
    if config.offline_store.audit is None:
        return read
    log = AuditLog(Path(config.repo_path or ".") / config.offline_store.audit)

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
