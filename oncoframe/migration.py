"""Homes of other versions: newer ones are refused, older ones brought to this one.

    home.json -> refuse_other_version -> work as usual, or: oncoframe migrate
    migrations/0001_<what>.py ... -> migrate -> one more Delta version per table, home.json

A table keeps its older versions as they were, so a frame that was built before rebuilds from them
to the same bytes. Added columns need no migration: :meth:`oncoframe.lake.Lake.scan_features`.
"""

import json
import runpy
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from packaging.version import Version

from oncoframe.errors import HomeError
from oncoframe.lake import Lake
from oncoframe.modalities import feature_contracts

#: File of a home that says which version wrote it last; homes of 0.1.0 have none.
HOME_FILE = "home.json"
FOLDER = Path(__file__).with_name("migrations")
#: In the commit of a migrated table: the last migration that is in it.
_COMMIT_KEY = "oncoframe.migration"

Change = Callable[[pl.LazyFrame], pl.LazyFrame]


@dataclass(frozen=True)
class Migration:
    """One change of the tables.

    Parameters
    ----------
    number
        Its place in the order, from 1.
    words
        What it does.
    tables
        Table of the lake -> its rows of before -> its rows of after.
    """

    number: int
    words: str
    tables: Mapping[str, Change]


@dataclass(frozen=True)
class Migrated:
    """What migrations do to one table.

    Parameters
    ----------
    table
        Name in the lake.
    rows
        How many it has; none is lost.
    words
        What each migration does, in order.
    added, removed, retyped
        Columns. A renamed one is removed under its old name and added under its new one.
    """

    table: str
    rows: int
    words: list[str]
    added: list[str]
    removed: list[str]
    retyped: list[str]


def last_migration() -> int:
    """Number of the newest migration of this version; 0 before the first."""
    return max(map(_number, _files()), default=0)


def refuse_other_version(home: Path) -> None:
    """Let only a home pass that this version can work with.

    Raises
    ------
    HomeError
        If a newer version wrote it, or its tables have to be migrated first.
    """
    wrote, number = _said(home)
    ours = version("oncoframe")
    if number > last_migration() or Version(wrote) > Version(ours):
        raise HomeError(
            "a newer version of OncoFrame wrote this home",
            where=str(home),
            expected=f"version {ours} or older",
            got=wrote,
            hint="Use that version or a newer one.",
        )
    due = _due(Lake(home / "lake"), number)
    if due:
        raise HomeError(
            "an older version of OncoFrame wrote this home",
            where=str(home),
            got=f"columns of before in {', '.join(due)}",
            hint="See what would change: oncoframe migrate --dry-run. Then: oncoframe migrate.",
        )


def mark(home: Path) -> None:
    """Write down that this version works on the home."""
    ours = {"oncoframe": version("oncoframe"), "migration": last_migration()}
    file = home / HOME_FILE
    text = json.dumps(ours) + "\n"
    if not file.is_file() or file.read_text() != text:
        home.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(".new")
        new.write_text(text)
        new.replace(file)


def plan(home: Path) -> list[Migrated]:
    """What :func:`migrate` would do; reads the columns that change and writes nothing.

    Raises
    ------
    HomeError
        If a migration cannot be applied to the rows that are there.
    """
    lake = Lake(home / "lake")
    _, number = _said(home)
    return [_tried(lake, table, steps) for table, steps in _due(lake, number).items()]


def migrate(home: Path, *, now: datetime) -> Path | None:
    """Bring the tables of a home to this version, after a copy of them was put aside.

    What was interrupted is taken up where it stopped.

    Parameters
    ----------
    now
        Names the copy.

    Returns
    -------
    Folder of the copy, in ``<home>/backups``; None if there was nothing to do.

    Raises
    ------
    HomeError
        As :func:`plan`; nothing is written then.
    """
    lake = Lake(home / "lake")
    _, number = _said(home)
    due = _due(lake, number)
    plan(home)
    backup = None
    if due:
        backup = home / "backups" / f"before-migration-{now:%Y%m%dT%H%M%S}"
        for table in due:
            shutil.copytree(lake.path(table), backup / "lake" / table)
    for table, steps in due.items():
        with lake.lock(table):
            write_deltalake(
                lake.path(table),
                _explained(lake, table, _changed(lake, table, steps).collect().to_arrow()),
                mode="overwrite",
                schema_mode="overwrite",
                commit_properties=CommitProperties(
                    custom_metadata={_COMMIT_KEY: str(steps[-1].number)}
                ),
            )
    mark(home)
    return backup


def _files() -> list[Path]:
    return sorted(FOLDER.glob("[0-9]*.py"))


def _number(file: Path) -> int:
    return int(file.name.partition("_")[0])


def _load(file: Path) -> Migration:
    module = runpy.run_path(str(file))
    return Migration(_number(file), module["__doc__"].splitlines()[0], module["TABLES"])


def _said(home: Path) -> tuple[str, int]:
    """Version that wrote a home last, and the last migration that is in it."""
    file = home / HOME_FILE
    if file.is_file():
        said = json.loads(file.read_text())
        return said["oncoframe"], said["migration"]
    return "0.1.0", 0 if (home / "lake").is_dir() else last_migration()


def _due(lake: Lake, number: int) -> dict[str, list[Migration]]:
    """Table -> migrations that it still needs, in order."""
    later = [_load(file) for file in _files() if _number(file) > number]
    due: dict[str, list[Migration]] = {}
    for migration in later:
        for table in migration.tables:
            if lake.exists(table) and _done(lake, table) < migration.number:
                due.setdefault(table, []).append(migration)
    return due


def _done(lake: Lake, table: str) -> int:
    """Last migration in a table whose home was left before it was marked."""
    [commit] = DeltaTable(lake.path(table)).history(limit=1)
    return int(commit.get(_COMMIT_KEY, 0))


def _changed(lake: Lake, table: str, steps: list[Migration]) -> pl.LazyFrame:
    rows = lake.scan(table)
    for migration in steps:
        rows = migration.tables[table](rows)
    return rows


def _explained(lake: Lake, table: str, rows: pa.Table) -> pa.Table:
    """Rows whose columns keep their words, or have those of this version."""
    before = pa.schema(DeltaTable(lake.path(table)).schema().to_arrow())
    words = {field.name: field.metadata for field in before}
    for contract in feature_contracts():
        if contract.table == table:
            words |= contract.meanings()
    fields = [field.with_metadata(words.get(field.name)) for field in rows.schema]
    return rows.cast(pa.schema(fields))


def _tried(lake: Lake, table: str, steps: list[Migration]) -> Migrated:
    before = lake.scan(table)
    after = _changed(lake, table, steps)
    try:
        old, new = before.collect_schema(), after.collect_schema()
        touched = [name for name in new if old.get(name) != new[name]]
        counts = [rows.select(pl.len()).collect().item() for rows in (before, after)]
        after.select(touched).collect()
    except pl.exceptions.PolarsError as error:
        # What Polars says repeats values of patients.
        raise HomeError(
            f"migration {steps[-1].number} cannot be applied",
            where=f"table {table}",
            got=type(error).__name__,
            hint="Nothing was changed.",
        ) from None
    if counts[0] != counts[1]:
        raise HomeError(
            f"migration {steps[-1].number} loses rows or makes some up",
            where=f"table {table}",
            expected=f"{counts[0]} rows",
            got=str(counts[1]),
            hint="Nothing was changed.",
        )
    return Migrated(
        table,
        counts[0],
        [migration.words for migration in steps],
        added=[name for name in new if name not in old],
        removed=[name for name in old if name not in new],
        retyped=[name for name in new if name in old and old[name] != new[name]],
    )
