"""Names of the columns of frames and models, put together and taken apart in one place.

    "snv_features__snv_gene_burden[TP53]" -> Column.parse -> table, name, position -> str

A frame names its columns ``<table>__<name>`` in safe names (:mod:`oncoframe.names`), a model in
domain names, and there the positions of a block ``<table>__<block>[<position>]``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from oncoframe.names import decode, encode

#: Between a table and what it holds; no table has it in its name.
SEPARATOR = "__"


@dataclass(frozen=True, slots=True)
class Column:
    """Name of a column, in its parts.

    Every text has one reading, and every column one text: ``parse`` and ``str`` undo each other.
    The table ends at the first :data:`SEPARATOR`, the position begins at the first bracket and
    ends with the text; what is behind these may hold either again.

    Parameters
    ----------
    table
        Feature table; empty for a column of no table (``label``).
    name
        Column of the table, or its block.
    position
        What stands at a position of the block; None for the column as a whole.

    Raises
    ------
    ValueError
        If the text of the parts would be read as other parts.
    """

    table: str
    name: str
    position: str | None = None

    def __post_init__(self) -> None:
        if _parts(str(self)) != (self.table, self.name, self.position):
            msg = f"{self!r} would be read as another column: {self}"
            raise ValueError(msg)

    def __str__(self) -> str:
        return f"{self.table}{SEPARATOR}{self.within}" if self.table else self.within

    @staticmethod
    @cache
    def parse(text: str) -> "Column":
        """Column of a text."""
        return Column(*_parts(text))

    @staticmethod
    def of_safe(text: str) -> "Column":
        """Column, in domain names, of a column of a frame or of an expanded one."""
        return Column.parse(decode(text))

    @property
    def safe(self) -> str:
        """The text in characters that every tool accepts; :meth:`of_safe` undoes it."""
        return encode(str(self))

    @property
    def within(self) -> str:
        """The text without the table."""
        return self.name if self.position is None else f"{self.name}[{self.position}]"

    def at(self, positions: Iterable[str]) -> list[str]:
        """Texts of some positions of a block."""
        block = str(self)
        return [f"{block}[{position}]" for position in positions]


def _parts(text: str) -> tuple[str, str, str | None]:
    position = None
    bracket = text.find("[", 1)
    if bracket > 0 and text.endswith("]"):
        text, position = text[:bracket], text[bracket + 1 : -1]
    table, separator, name = text.partition(SEPARATOR)
    return (table, name, position) if table and name and separator else ("", text, position)
