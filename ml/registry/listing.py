"""Versions of a study's models with their names, as ``oncoframe models`` lists them.

    tables of a home's SQLite file -> versions; any other registry -> MLflow's client -> versions

MLflow takes seconds to load, which a list of a few rows does not spend. The tables are read only
in the layout that is known here; a test holds what is read against what MLflow answers.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from ml.registry.model_version import ModelVersion, candidates_name
from ml.registry.store import Store

#: Revision of MLflow's tables that is known here (MLflow 3.17).
LAYOUT = "dc11669786a5"
#: As MLflow's own store asks for them; a home has one workspace.
_VERSIONS = """
    SELECT version, run_id, creation_time FROM model_versions
    WHERE workspace = 'default' AND name = ? AND current_stage != 'Deleted_Internal'
    ORDER BY version DESC"""
_TAGS = """
    SELECT key, value FROM model_version_tags
    WHERE workspace = 'default' AND name = ? AND version = ?"""
_ALIASES = """
    SELECT alias FROM registered_model_aliases
    WHERE workspace = 'default' AND name = ? AND version = ? ORDER BY alias"""

Listed = list[tuple[ModelVersion, tuple[str, ...]]]


def listed_versions(study: str, *, store: Store) -> Listed:
    """All versions of a study with their aliases: released ones, then candidates, newest first."""
    if not store.exists:
        return []
    if store.database is not None and (rows := _from_tables(study, store.database)) is not None:
        return rows
    from ml.registry.versions import versions  # noqa: PLC0415

    return versions(study, store=store)


def _from_tables(study: str, database: Path) -> Listed | None:
    """What the tables say; None if they are laid out otherwise than known."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as tables:
        try:
            found = tables.execute("SELECT version_num FROM alembic_version").fetchall()
        except sqlite3.DatabaseError:
            return None  # MLflow makes its tables, or says what is wrong with the file.
        if found != [(LAYOUT,)]:
            return None
        return [
            (
                ModelVersion.of_tags(
                    study, name, version, run_id, created, dict(tables.execute(_TAGS, of_version))
                ),
                tuple(alias for (alias,) in tables.execute(_ALIASES, of_version)),
            )
            for name in (study, candidates_name(study))
            for version, run_id, created in tables.execute(_VERSIONS, (name,)).fetchall()
            for of_version in [(name, version)]
        ]
