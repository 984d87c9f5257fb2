"""The lake: append-only, bitemporal Delta tables, checked against their contract on write.

    rows -> Contract.check -> Delta append -> scan (current or pinned version)

A correction is a new row with a later ``created_timestamp``; no row is changed or removed. Wide
blocks are vectors whose positions an append-only dictionary names. What does not belong here:
what the columns mean (contracts), who failed (ledger), which row counts (point_in_time).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from filelock import FileLock

from oncoframe.contracts import CLOCKS, Contract

_PROPERTIES = {
    # Delta removes versions after 30 days unless told not to; frames are rebuilt from old versions.
    "delta.enableExpiredLogCleanup": "false",
    # Opening a table reads the log since the last checkpoint; by default up to 100 commits of it.
    "delta.checkpointInterval": "10",
}

#: Columns of a dictionary table: what stands at a position of the vectors of an axis.
DICTIONARY_SCHEMA = pl.Schema({"position": pl.Int32(), "name": pl.String()})


class Lake:
    """Delta tables below one folder.

    Parameters
    ----------
    root
        Folder of the tables; created on first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, table: str) -> Path:
        """Folder of one table."""
        return self.root / table

    def exists(self, table: str) -> bool:
        """Whether the table was ever written."""
        return DeltaTable.is_deltatable(str(self.path(table)))

    def version(self, table: str) -> int | None:
        """Newest Delta version, or None for a table that was never written."""
        return DeltaTable(self.path(table)).version() if self.exists(table) else None

    def tables(self) -> list[str]:
        """Names of all tables, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(p.name for p in self.root.iterdir() if (p / "_delta_log").is_dir())

    @contextmanager
    def lock(self, table: str) -> Iterator[None]:
        """Hold the only right to write a table, across processes of this machine.

        Delta itself lets two appends pass each other; what must be read before it is written
        (positions of a dictionary, rows that another run may have written) needs this.
        """
        folder = self.root / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{table}.lock"):
            yield

    def append(self, table: str, rows: pl.DataFrame, *, about: Contract | None = None) -> int:
        """Append rows and return the Delta version that holds them.

        Columns that the table does not have yet are added to it, null in the rows before.

        Parameters
        ----------
        about
            Contract of the table, whose words a new table and new columns carry for other tools.
        """
        written = rows.to_arrow() if about is None else _explained(rows.to_arrow(), about)
        # Delta lets two appends pass each other, but not two that both create the table.
        if not self.exists(table):
            with self.lock(f"{table}.new"):
                write_deltalake(
                    self.path(table),
                    written,
                    mode="append",
                    configuration=_PROPERTIES,
                    description=None if about is None else f"{about.description} {CLOCKS}",
                )
            return DeltaTable(self.path(table)).version()
        # One reading of the log instead of three: it is what a commit costs in a long table.
        opened = DeltaTable(self.path(table))
        known = {field.name for field in opened.schema().fields}
        widens: Literal["merge"] | None = "merge" if set(rows.columns) - known else None
        write_deltalake(opened, written, mode="append", schema_mode=widens)
        return opened.version()

    def append_features(self, contract: Contract, rows: pl.DataFrame) -> int:
        """Append rows of a feature table.

        Raises
        ------
        oncoframe.errors.ContractViolation
            If the rows do not fit; nothing is written then.
        """
        contract.check(rows)
        return self.append(contract.table, rows, about=contract)

    def scan(self, table: str, *, version: int | None = None) -> pl.LazyFrame:
        """Lazy rows of a table as of a Delta version (default: the newest)."""
        return pl.scan_delta(str(self.path(table)), version=version)

    def scan_features(self, contract: Contract, *, version: int | None = None) -> pl.LazyFrame:
        """Lazy rows of a feature table; without rows if it was never written."""
        if not self.exists(contract.table):
            return pl.LazyFrame(schema=contract.schema())
        return self.scan(contract.table, version=version)

    def dictionary(self, axis: str, *, version: int | None = None) -> pl.DataFrame:
        """Positions of an axis, ascending: ``position``, ``name``."""
        table = dictionary_table(axis)
        if not self.exists(table):
            return pl.DataFrame(schema=DICTIONARY_SCHEMA)
        return self.scan(table, version=version).sort("position").collect()

    def extend_dictionary(self, axis: str, names: pl.Series) -> pl.DataFrame:
        """Give every name a position, new ones after all old ones, and return the dictionary.

        Parameters
        ----------
        axis
            Name of the axis (``gene``).
        names
            Names that rows about to be written use; new ones are appended in sorted order, so
            that a position never moves.
        """
        with self.lock(dictionary_table(axis)):
            known = self.dictionary(axis)
            new = names.unique().drop_nulls().sort()
            new = new.filter(~new.is_in(known["name"].implode()))
            if new.is_empty():
                return known
            added = pl.DataFrame(
                {"position": range(len(known), len(known) + len(new)), "name": new},
                schema=DICTIONARY_SCHEMA,
            )
            self.append(dictionary_table(axis), added)
            return pl.concat([known, added])


def _explained(rows: pa.Table, contract: Contract) -> pa.Table:
    """Rows whose columns say what they mean, as Delta keeps it."""
    meanings = contract.meanings()
    fields = [field.with_metadata(meanings.get(field.name)) for field in rows.schema]
    return rows.cast(pa.schema(fields))


def dictionary_table(axis: str) -> str:
    """Name of the lake table with the positions of an axis."""
    return f"dictionary_{axis}"
